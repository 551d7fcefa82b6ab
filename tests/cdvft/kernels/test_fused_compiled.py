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
    assert RECORD["source"] == compile_fused.digest(), "run python -m benchmarks.compile_fused"


def test_every_width_is_recorded_for_every_device() -> None:
    kernels = {(k["kernel"].split()[0], k["width"], k["target"], k["dtype"]) for k in RECORD["kernels"]}
    assert kernels >= {
        (kernel, width, target, dtype)
        for kernel in ("update", "gradients")
        for width in (256, 512, 768, 1024, 1536, 2048, 3072, 4096)
        for target in ("sm_80", "sm_89", "sm_90")
        for dtype in ("bf16", "fp32")
    }


def test_compiled_again_it_is_as_recorded(tmp_path: Path) -> None:
    run(
        "-m", "benchmarks.compile_fused", "--widths", "768", "--targets", "90", "--dtypes", "bf16",
        "--to", str(tmp_path),
    )  # fmt: skip
    fresh = json.loads((tmp_path / "fused_kernels.json").read_text())["kernels"]
    assert len(fresh) == 2
    assert all(kernel in RECORD["kernels"] for kernel in fresh)
