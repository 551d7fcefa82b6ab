"""The fused kernels compiled for GPUs on this machine, in processes that interpret nothing."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import compile_fused

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="Triton comes for Linux alone")
ROOT = Path(__file__).parents[3]
RECORD = json.loads((ROOT / "benchmarks/results/fused_kernels.json").read_text())


def run(*command: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_record_is_of_these_kernels() -> None:
    now = {part: compile_fused.digest(part) for part in compile_fused.SOURCES}
    assert RECORD["sources"] == now, "run python -m benchmarks.compile_fused"


def test_every_width_is_recorded_for_every_device() -> None:
    names = {"spectrum", "update", "gradients", "gradient by c"}
    for width in compile_fused.WIDTHS:
        found = {(k["kernel"], k["target"]) for k in RECORD["kernels"] if k["width"] == width}
        assert {(name, f"sm_{target}") for name in names for target in (80, 89, 90)} <= found
    assert {k["kernel"] for k in RECORD["kernels"] if k["dtype"] == "fp32"} == names


def test_at_4096_no_kernel_spills_a_register_on_any_device() -> None:
    found = [k for k in RECORD["kernels"] if compile_fused.part_of(k["kernel"]) == "cube"]
    names = {"update", "gradients by x and first", "gradient by last", "gradient by c"}
    expected = {(f"cube, {name}", f"sm_{target}") for name in names for target in (80, 89, 90)}
    assert {(k["kernel"], k["target"]) for k in found} == expected
    assert {k["width"] for k in found} == {4096}
    assert [k for k in found if k["stack_bytes"] or k["spills_in_loop"]] == []


def test_every_kernel_for_blocks_is_recorded_and_hardly_spills() -> None:
    of_blocks = [k for k in RECORD["kernels"] if compile_fused.part_of(k["kernel"]) == "blocks"]
    names = {name for name in compile_fused.KERNELS if compile_fused.part_of(name) == "blocks"}
    for p in compile_fused.BLOCKS:
        found = {(k["kernel"], k["target"]) for k in of_blocks if k["width"] == p}
        assert found == {(name, f"sm_{target}") for name in names for target in compile_fused.TARGETS}
    in_loops = {k["kernel"]: k["spills_in_loop"] for k in of_blocks if k["spills_in_loop"]}
    assert set(in_loops) <= {"blocks, update"}
    assert max(in_loops.values(), default=0) <= 2
    assert max(k["stack_bytes"] for k in of_blocks) <= 24


def test_of_a_whole_circulant_the_update_spills_nowhere_and_gradients_only_outside_their_loop() -> None:
    whole = [k for k in RECORD["kernels"] if compile_fused.part_of(k["kernel"]) == "whole"]
    assert {k["kernel"] for k in whole if k["stack_bytes"]} <= {"gradients"}
    assert not any(k["spills_in_loop"] for k in whole)
    assert max(k["stack_bytes"] for k in whole) <= 24, "six registers, once a program"


def test_where_registers_spill_the_record_says_so() -> None:
    spilling = [k for k in RECORD["kernels"] if k["stack_bytes"]]
    said = (ROOT / "benchmarks/results/fused_kernels.md").read_text()
    assert f"Of {len(RECORD['kernels'])} kernels {len(spilling)} spill registers" in said
    assert said.count(", spills ") == len(spilling)


def test_compiled_again_it_is_as_recorded(tmp_path: Path) -> None:
    run(
        "-m", "benchmarks.compile_fused", "--parts", "whole", "--widths", "768", "--targets", "90",
        "--dtypes", "bf16", "--to", str(tmp_path),
    )  # fmt: skip
    fresh = json.loads((tmp_path / "fused_kernels.json").read_text())["kernels"]
    assert len(fresh) == 4
    assert all(kernel in RECORD["kernels"] for kernel in fresh)
