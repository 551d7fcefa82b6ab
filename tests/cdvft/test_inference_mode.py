"""Weights that were merged into under `torch.inference_mode` can be trained through afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import get_peft_model
from torch import Tensor, nn

from cdvft import CDVFTConfig


class Experts(nn.Module):
    """Two matrices in one parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Parameter(torch.randn(2, 6, 6))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x @ matrix.T for matrix in self.both])


def adapted() -> Any:
    config = CDVFTConfig(target_modules=["0"], target_parameters=["1.both"], init_weights=False)
    return get_peft_model(nn.Sequential(nn.Linear(6, 6), Experts()), config)


def merge_and_unmerge(model: Any) -> nn.Module:
    model.merge_adapter()
    model.unmerge_adapter()
    return model


def merge_and_disable(model: Any) -> nn.Module:
    model.merge_adapter()
    with model.disable_adapter():
        model(torch.randn(3, 6))
    return model


WAYS = [lambda model: model.merge_and_unload(), merge_and_unmerge, merge_and_disable]
WAYS = pytest.mark.parametrize("way", WAYS, ids=["unloaded", "unmerged", "disabled"])


@WAYS
def test_a_gradient_passes_through_weights_that_were_changed_in_inference(way: Callable[[Any], Any]) -> None:
    model, x = adapted(), torch.randn(3, 6, requires_grad=True)
    with torch.inference_mode():
        model = way(model)
    model(x).square().sum().backward()
    assert x.grad is not None and x.grad.any()


@WAYS
def test_a_model_made_in_inference_stays_one_of_inference(way: Callable[[Any], Any]) -> None:
    with torch.inference_mode():
        model = way(adapted())
        assert all(parameter.is_inference() for parameter in model.parameters())


@pytest.mark.filterwarnings("ignore::UserWarning")  # PEFT's, of the tied weight
def test_an_output_embedding_gets_a_weight_of_its_own_that_trains(gpt2) -> None:
    model = get_peft_model(gpt2.model(), CDVFTConfig(target_modules=["lm_head"], init_weights=False))
    with torch.inference_mode():
        merged = model.merge_and_unload()
    assert not any(parameter.is_inference() for parameter in merged.parameters())
    gpt2.outputs(merged.requires_grad_(True)).sum().backward()
