"""Other ways to train: rates by kind of factor, and the benchmark that chooses among such."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from listening import run as trained
from peft.optimizers import create_loraplus_optimizer
from torch import nn
from torch.optim import Optimizer

import cdvft
from cdvft_app.training.loop import RaceTrainer

CREATE = RaceTrainer.create_optimizer
RATE = 0.01


def learning_rates(optimizer: Optimizer, model: nn.Module) -> dict[str, float]:
    """Of the adapters' parameters, by name."""
    names = {id(one): name for name, one in model.named_parameters()}
    found = {names[id(one)]: group["lr"] for group in optimizer.param_groups for one in group["params"]}
    return {name: rate for name, rate in found.items() if "lora_" in name or "cdvft_" in name}


def by_peft(model: nn.Module) -> Optimizer:
    return create_loraplus_optimizer(model, torch.optim.AdamW, lr=RATE, loraplus_lr_ratio=8.0)


def by_library(model: nn.Module) -> Optimizer:
    return cdvft.create_optimizer(model, torch.optim.AdamW, RATE, input_diagonal_lr_ratio=8.0)


@pytest.mark.parametrize(
    "case",
    [
        ("cdvft", "input_diagonal_lr_ratio", by_library, (1, 3)),
        ("lora", "lora_loraplus_lr_ratio", by_peft, (1, 2)),
        ("dora", "dora_loraplus_lr_ratio", by_peft, (2, 3)),
    ],
)
def test_lr_ratios_scale_their_parameters(case, text_plan, text_rows, tmp_path, monkeypatch) -> None:
    """As by the function that the library or PEFT has for it; without a ratio all have one rate."""
    method, name, wanted, (many, of) = case
    seen: list[dict[str, float]] = []

    def create(trainer: RaceTrainer, model: nn.Module | None = None) -> Any:
        made = CREATE(trainer, model)
        own = learning_rates(made, trainer.model)
        assert made.param_groups[0]["lr"] == RATE, "the one that is logged"
        if seen:
            assert own == pytest.approx(learning_rates(wanted(trainer.model), trainer.model))
        seen.append(own)
        return made

    monkeypatch.setattr(RaceTrainer, "create_optimizer", create)
    plan = {"method": method, "learning_rate": RATE, "max_steps": 1}
    trained(text_plan(**plan), text_rows, tmp_path / "usual")
    trained(text_plan(**plan, **{name: 8.0}), text_rows, tmp_path / "faster")
    usual, faster = seen
    assert set(usual.values()) == {RATE} and usual.keys() == faster.keys()
    assert sum(rate == pytest.approx(8 * RATE) for rate in faster.values()) * of == many * len(faster)
