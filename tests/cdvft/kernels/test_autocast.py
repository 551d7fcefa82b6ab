"""Autocast on an accelerator, simulated on the CPU: the same sums in half precision as without it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from kernel_problem import near
from peft import get_peft_model
from torch import Tensor, nn

from cdvft import CDVFTConfig, layer
from cdvft.kernels import calibration, linear

WIDTH = 64


@pytest.fixture
def cast(as_on_a_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Products are in the dtype of their inputs, which autocast, if on, makes bfloat16."""

    def dtype(x: Tensor) -> torch.dtype | None:
        return torch.bfloat16 if torch.is_autocast_enabled("cpu") else None

    for module in (layer, linear, calibration):
        monkeypatch.setattr(module, "autocast_dtype", dtype)


def adapted(ratio: float) -> tuple[nn.Module, Any]:
    """A linear layer in float32 and its update with |alpha dW| = ratio |W|."""
    torch.manual_seed(0)
    config = CDVFTConfig(target_modules=["0"], init_weights=False)
    model = get_peft_model(nn.Sequential(nn.Linear(WIDTH, WIDTH)), config)
    adapted_layer = model.base_model.model[0]
    with torch.no_grad():
        size = adapted_layer.get_delta_weight("default").norm() / adapted_layer.weight.norm()
        adapted_layer.cdvft_circulants["default"][0].mul_(ratio / size)
    return model, adapted_layer


@pytest.mark.parametrize("ratio", [1e-3, 0.3])
def test_autocast_matches_float64(ratio: float, cast: None) -> None:
    model, _ = adapted(ratio)
    trained = [p for p in model.parameters() if p.requires_grad]
    x, grad = torch.randn(9, WIDTH, requires_grad=True), torch.randn(9, WIDTH)
    with torch.autocast("cpu", torch.bfloat16):
        out = model(x)
    assert out.dtype == torch.bfloat16
    found = torch.autograd.grad(out, [x, *trained], grad.bfloat16())
    assert [t.dtype for t in found] == [torch.float32] * 4
    truth = model.double()(x.double())
    trained = [p for p in model.parameters() if p.requires_grad]
    near([out, *found], [truth, *torch.autograd.grad(truth, [x, *trained], grad.double())], 2e-2)
