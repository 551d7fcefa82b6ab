"""The fused kernels compiled for GPUs on this machine, in processes that interpret nothing."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import fused_parts

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="needs Linux: Triton comes for it alone")
ROOT = Path(__file__).parents[3]
RECORD = json.loads((ROOT / "benchmarks/results/fused_kernels.json").read_text())


def run(*command: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_record_is_of_these_kernels() -> None:
    now = {part: fused_parts.digest(part) for part in fused_parts.SOURCES}
    assert RECORD["sources"] == now, "run python -m benchmarks.compile_fused"


def test_every_kernel_of_every_width_is_recorded_for_every_device() -> None:
    found = {(k["kernel"], k["width"], k["target"]) for k in RECORD["kernels"] if k["dtype"] == "bf16"}
    launched = {
        (kernel, width)
        for part, widths in fused_parts.ALL.items()
        for width in widths
        for kernel in fused_parts.kernels(fused_parts.shape_of(width, part), part)
    }
    assert {kernel for kernel, _ in launched} >= {
        "gradients", "cube, gradient by c", "blocks, update", "dense, weight and update",
        "together, gradients", "together cube, update",
    }  # fmt: skip
    assert found == {(*one, f"sm_{target}") for one in launched for target in (80, 89, 90)}
    exact = {(k["kernel"], k["width"]) for k in RECORD["kernels"] if k["dtype"] == "fp32"}
    assert exact == launched


def test_for_half_precision_no_kernel_spills_a_register_on_any_device() -> None:
    assert [k for k in RECORD["kernels"] if k["dtype"] == "bf16" and k["stack_bytes"]] == []
    assert [k for k in RECORD["kernels"] if k["dtype"] == "bf16" and k["spills_in_loop"]] == []


def test_where_registers_spill_the_record_says_so() -> None:
    exact = [k for k in RECORD["kernels"] if k["dtype"] == "fp32"]
    spilling = [k for k in exact if k["stack_bytes"]]
    said = (ROOT / "benchmarks/results/fused_kernels.md").read_text()
    assert f"none of {len(RECORD['kernels']) - len(exact)} kernels spills a register" in said
    assert f"{len(spilling)} of {len(exact)} kernels spill registers" in said
    assert said.count(", spills ") == len(spilling)


def test_compiled_again_it_is_as_recorded(tmp_path: Path) -> None:
    run(
        "-m", "benchmarks.compile_fused", "--parts", "whole", "--widths", "768", "--targets", "90",
        "--dtypes", "bf16", "--to", str(tmp_path),
    )  # fmt: skip
    fresh = json.loads((tmp_path / "fused_kernels.json").read_text())["kernels"]
    assert len(fresh) == 4
    assert all(kernel in RECORD["kernels"] for kernel in fresh)


def test_traced_as_by_a_compiler_all_kernels_are_in_the_graph_and_tables_stay_tables() -> None:
    told = json.loads(run("tests/cdvft/kernels/traced_kernels.py").splitlines()[-1])
    kept, bound = told.pop("kept"), told.pop("bound")
    spectra, update, gradients, signal = (
        f"group_{name}_kernel" for name in ("spectrum", "update", "gradients", "signal")
    )
    assert bound == [spectra, update, spectra, gradients, signal], "what they are launched with, Triton takes"
    assert kept == ["Tensor", "Tensor"], "tensors without values would be given to every later call"
    assert {title: found.count("kernel") for title, found in told.items()} == {
        "768": 5, "4096": 7, "3072 -> 768": 10, "768 again": 5,
    }  # fmt: skip
    assert all(set(found) == {"kernel", "cdvft.transform_tables"} for found in told.values()), told
