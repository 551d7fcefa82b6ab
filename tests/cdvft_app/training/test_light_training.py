"""What lets a large model fit: quantized weights, bfloat16, activations computed twice, batches in parts."""

from __future__ import annotations

import pytest
import torch
from listening import run
from safetensors.torch import load_file

from cdvft_app.events import Started
from cdvft_app.progress import never, silent
from cdvft_app.tasks.prepare import prepare


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
