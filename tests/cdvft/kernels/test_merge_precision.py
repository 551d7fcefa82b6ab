"""In half precision a large update is merged into the weight, a small one never is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from kernel_problem import near
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cdvft.circulant import Factors, cd_product
from cdvft.kernels import adapted_linear, merge_precision
from cdvft.kernels.merge_precision import update_survives_rounding

EPS = {torch.bfloat16: 2**-7, torch.float16: 2**-10}
WIDTH = 64
CASES = [(1, 2), (2, 2), (1, 3)]
"""Blocks a side, and m."""


class Layer(nn.Module):
    """Frozen in half precision, with |alpha dW| = ratio |W|."""

    def __init__(self, ratio: float, dtype: torch.dtype = torch.bfloat16, q: int = 1, m: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)
        p = WIDTH // q
        self.register_buffer("weight", (torch.randn(WIDTH, WIDTH) / WIDTH**0.5).to(dtype))
        self.diagonals = nn.ParameterList(torch.randn(WIDTH) for _ in range(m))
        self.circulants = nn.ParameterList(torch.randn(q, q, p) / WIDTH**0.5 for _ in range(m - 1))
        update = cd_product(list(self.diagonals), list(self.circulants)).detach()
        self.alpha = ratio * float(self.weight.float().norm() / update.norm())

    def survives(self) -> bool:
        return update_survives_rounding(self.weight, self.factors)

    @property
    def factors(self) -> Factors:
        return Factors(list(self.diagonals), list(self.circulants), self.alpha)

    def forward(self, x: Tensor, backend: Any = "merged") -> Tensor:
        return adapted_linear(x, self.weight, None, self.factors, backend)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every ratio that is read from the device."""
    found: list[float] = []
    measure = merge_precision._ratio
    monkeypatch.setattr(merge_precision, "_ratio", lambda *args: found.append(measure(*args)) or found[-1])
    return found


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize(("q", "m"), CASES)
def test_updates_survive_from_two_steps_on(dtype: torch.dtype, q: int, m: int) -> None:
    assert Layer(2.02 * EPS[dtype], dtype, q, m).survives()
    assert not Layer(1.98 * EPS[dtype], dtype, q, m).survives()


@pytest.mark.parametrize(("q", "m"), CASES)
@pytest.mark.parametrize("ratio", [0.1, 0.005])
def test_merged_matches_float64(as_on_a_gpu: None, ratio: float, q: int, m: int) -> None:
    layer = Layer(ratio, q=q, m=m)
    x, grad = (torch.randn(96, WIDTH).bfloat16() for _ in range(2))
    x.requires_grad_()
    out = layer(x)
    found = torch.autograd.grad(out, [x, *layer.parameters()], grad)
    leaves = [t.detach().double().requires_grad_() for t in (x, *layer.parameters())]
    update = layer.alpha * cd_product(leaves[1 : m + 1], leaves[m + 1 :])
    truth = leaves[0] @ (layer.weight.double() + update).T
    expected = torch.autograd.grad(truth, leaves, grad.double())
    assert out.dtype == found[0].dtype == torch.bfloat16
    near([out, *found], [truth, *expected], 4e-3)  # a bfloat16's rounding is 1.7e-3, twice 2.4e-3
    effect = (leaves[0] @ update.T).detach()
    added = (out - leaves[0] @ layer.weight.double().T).detach()
    kept = (added * effect).sum() / effect.square().sum()
    assert kept == pytest.approx(1, abs=0.02 if ratio == 0.1 else 0.1)


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints_repeat_the_decision(reentrant: bool, measured, monkeypatch, as_on_a_gpu) -> None:
    monkeypatch.setattr(merge_precision, "MEASURE_INTERVAL", 1)
    layer = Layer(0.1)
    x = torch.randn(8, WIDTH).bfloat16().requires_grad_()
    out = checkpoint(layer, x, use_reentrant=reentrant)
    layer.circulants[0].data.mul_(0.01)
    out.sum().backward()  # torch raises an error where other tensors are saved than before
    assert len(measured) == 1
    layer(x)
    assert len(measured) == 2
