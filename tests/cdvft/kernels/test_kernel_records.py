"""Records of kernels: compiled for GPUs, in processes that interpret nothing, and operators of a layer."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import compile_fused
from benchmarks import operators as counts

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="needs Linux: Triton comes for it alone")
ROOT = Path(__file__).parents[3]
RECORD = json.loads((ROOT / "benchmarks/results/fused_kernels.json").read_text())
OPERATORS = json.loads((counts.RESULTS / "operators.json").read_text())


def test_the_record_is_of_these_kernels() -> None:
    assert RECORD["sources"] == compile_fused.digest(), "run python -m benchmarks.compile_fused"


def test_every_kernel_of_every_layer_is_recorded_for_every_device() -> None:
    found = {(k["kernel"], k["layer"], k["target"]) for k in RECORD["kernels"] if k["dtype"] == "bf16"}
    launched = {(name, title) for title in compile_fused.CASES for name in compile_fused.TRANSFORMS}
    launched |= {(name, title) for title in compile_fused.MATRICES for name in compile_fused.DENSE}
    assert found == {(*one, f"sm_{target}") for one in launched for target in (80, 89, 90)}
    exact = {(k["kernel"], k["layer"]) for k in RECORD["kernels"] if k["dtype"] == "fp32"}
    assert exact == launched


def test_where_registers_spill_the_record_says_so() -> None:
    said = (ROOT / "benchmarks/results/fused_kernels.md").read_text()
    assert said == compile_fused.markdown(RECORD)
    assert said.count(", spills ") == len([k for k in RECORD["kernels"] if k["stack_bytes"]])


def test_compiled_again_it_is_as_recorded(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = ["-m", "benchmarks.compile_fused", "--cases", "256", "--targets", "90", "--dtypes", "bf16"]
    done = subprocess.run(
        [sys.executable, *command, "--to", str(tmp_path)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    fresh = json.loads((tmp_path / "fused_kernels.json").read_text())["kernels"]
    assert len(fresh) == len(compile_fused.TRANSFORMS)
    assert all(kernel in RECORD["kernels"] for kernel in fresh)


@pytest.mark.usefixtures("operators")  # kernels are interpreted or not from their first import on
@pytest.mark.parametrize("case", [case for case in counts.CASES if case.d_in == 768], ids=lambda c: c.title)
def test_the_record_of_operators_is_what_is_counted_now(case: counts.Case) -> None:
    assert counts.counted(case) == OPERATORS["layers"][case.title]


def test_the_table_of_operators_is_of_the_record() -> None:
    assert (counts.RESULTS / "operators.md").read_text() == counts.markdown(OPERATORS)
    frozen = {one["base"] for one in OPERATORS["layers"].values()}
    assert frozen == {2}, "a product forward and one backward"


def test_a_wider_circulant_or_blocks_take_no_more() -> None:
    found = {title: one["cdvft, transforms"] for title, one in OPERATORS["layers"].items()}
    assert found["768"] == found["4096"] == found["768 -> 3072"]
