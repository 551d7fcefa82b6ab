from __future__ import annotations

import pytest
import torch
from torch import nn

from cdvft_app.catalog import Plan
from cdvft_app.catalog.dataset_readers import Rows
from cdvft_app.methods import METHODS
from cdvft_app.progress import never, silent
from cdvft_app.tasks.prepare import prepare
from cdvft_app.training import trainable

HEAD = 2 * 32 + 2
LAYERS = 2 * 2  # query and value of two layers, each 32 x 32
ADAPTER = {"cdvft": 3 * 32, "lora": 2 * 2 * 32, "fourierft": 40, "c3a": 2 * 2 * 16}
ADAPTER |= {"dora": 2 * 2 * 32 + 32, "vera": 4 + 32}


def build(plan: Plan, rows: Rows, **changed: object) -> nn.Module:
    torch.manual_seed(7)
    task = prepare(plan, silent, never, rows).task
    torch.manual_seed(7)
    return trainable.build(plan.settings.model_copy(update=changed), task.model, task.head)


def logits(model: nn.Module) -> torch.Tensor:
    model.eval()
    ids = torch.tensor([[2, 4, 8, 3], [2, 5, 3, 0]])
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=(ids != 0).long()).logits


def shake(model: nn.Module) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))


@pytest.mark.parametrize("method", METHODS)
def test_count_parameters(text_plan, text_rows, method):
    model = build(text_plan(method), text_rows)
    trained, head, base = trainable.count_parameters(model, "classifier")
    whole = sum(p.numel() for p in build(text_plan("full"), text_rows).parameters())
    expected = {"head": 0, "full": whole - HEAD} | {name: LAYERS * one for name, one in ADAPTER.items()}
    assert (trained, head, base) == (expected[method], HEAD, whole)
    names = [
        name
        for name, p in model.named_parameters()
        if p.requires_grad and not trainable.is_head(name, "classifier")
    ]
    assert method in {"head", "full"} or all(".query." in name or ".value." in name for name in names)


@pytest.mark.parametrize("method", METHODS)
def test_saved_weights_load_bit_equal(text_plan, text_rows, method, tmp_path):
    model = build(text_plan(method), text_rows)
    shake(model)
    written = trainable.save(model, tmp_path)
    again = build(text_plan(method), text_rows)
    assert not torch.allclose(logits(again), logits(model))
    trainable.load(again, tmp_path)
    torch.testing.assert_close(logits(again), logits(model), rtol=0, atol=0)
    suffixes = {path.suffix for path in tmp_path.iterdir()}
    assert suffixes <= {".safetensors", ".json", ".md"}
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert 4 * trained <= written <= 4 * trained + 20_000
