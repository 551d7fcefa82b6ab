"""What lets a large model fit: quantized weights, bfloat16, activations computed twice, batches in parts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from listening import run
from safetensors.torch import load_file

from cdvft_app.events import Started
from cdvft_app.progress import never, silent
from cdvft_app.tasks.prepare import prepare

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def losses(answer_plan, answer_rows, tmp_path_factory):
    """`losses(**settings)`: of three steps."""

    def of(**chosen):
        plan = answer_plan(max_steps=3, learning_rate=0.05, **chosen)
        heard, _ = run(plan, answer_rows, tmp_path_factory.mktemp("run"))
        return list(heard.losses().values())

    return of


@pytest.fixture(scope="module")
def usual(losses):
    return losses()


@pytest.mark.parametrize(
    ("chosen", "tolerance"),
    [({"gradient_checkpointing": True}, 1e-5), ({"gradient_accumulation": 4}, 0.05)],
)
def test_memory_settings_keep_losses(chosen, tolerance, usual, losses):
    assert len(usual) == 3
    assert losses(**chosen) == pytest.approx(usual, abs=tolerance)


def test_bfloat16_keeps_trained_weights_in_float32(answer_plan, answer_rows, tmp_path):
    plan = answer_plan(max_steps=2, precision="bfloat16")
    heard, done = run(plan, answer_rows, tmp_path)
    assert heard.of(Started)[0].precision == "bfloat16 mixed with float32"
    task = prepare(plan, silent, never, answer_rows).task
    assert {one.dtype for one in task.model.parameters()} == {torch.bfloat16}
    kept = load_file(str(done.adapter_folder / "adapter_model.safetensors"))
    assert {one.dtype for one in kept.values()} == {torch.float32}


@pytest.mark.mirror
@pytest.mark.nightly
@pytest.mark.parametrize(
    ("package", "cases"),
    [
        ("bitsandbytes>=0.48,<1", ["cdvft:4", "cdvft:32", "lora:4", "fourierft:4", "cdvft:8"]),
        ("torchao>=0.18,<1", ["cdvft:8", "cdvft:32", "lora:8"]),
    ],
    ids=["bitsandbytes", "torchao"],
)
def test_quantized_models_train_on_a_cpu(package, cases, tmp_path):
    """In a process with the package, which PEFT would import in every other one as well."""
    packages = tmp_path / "packages"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    subprocess.run([*install, "--target", str(packages), package], check=True)
    here = Path(__file__).parent
    paths = [packages, ROOT, here, here.parent]
    done = subprocess.run(
        [sys.executable, here / "quantized_bases.py", tmp_path, *cases],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    for one in told.values():
        assert len(one["losses"]) == 3 and one["moved"] > 1e-3
        assert one["base"] == told["cdvft 32"]["base"], "a weight counts once, however many bits it has"
        assert one["answer"]
    first = {name: one["losses"][0] for name, one in told.items()}
    for name in set(first) - {"cdvft 32"}:
        assert first[name] != first["cdvft 32"]
        assert first[name] == pytest.approx(first["cdvft 32"], rel=0.15)
