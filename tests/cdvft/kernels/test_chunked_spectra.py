"""On the CPU a spectrum is kept while the circulant's values are the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cdvft.kernels.chunked import kept_spectrum


@pytest.fixture
def transforms(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The tensors that are transformed."""
    seen: list[Tensor] = []
    rfft = torch.fft.rfft
    monkeypatch.setattr(torch.fft, "rfft", lambda c: seen.append(c) or rfft(c))
    return seen


def agrees(c: Tensor) -> bool:
    return torch.allclose(torch.fft.irfft(kept_spectrum(c), n=c.shape[-1]), c, atol=1e-6)


def step(c: nn.Parameter, fused: bool = False) -> None:
    c.grad = torch.ones_like(c)
    torch.optim.AdamW([c], lr=0.1, fused=fused).step()


CHANGES: dict[str, Callable[[nn.Parameter], object]] = {
    "step": step,
    "fused step": lambda c: step(c, fused=True),
    "load": lambda c: nn.ParameterList([c]).load_state_dict({"0": torch.randn_like(c)}),
    "assign": lambda c: setattr(c, "data", torch.randn_like(c)),
    "write through data": lambda c: c.data.mul_(2),
    "write through numpy": lambda c: c.detach().numpy().__setitem__((0, 0, 0), 7),
    "cast": lambda c: nn.ParameterList([c]).to(torch.float64),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_spectrum_is_recomputed_after_a_change(change: Callable, transforms: list[Tensor]) -> None:
    c = nn.Parameter(torch.randn(1, 2, 6))
    assert all(agrees(c) for _ in range(3)) and len(transforms) == 1
    change(c)
    assert agrees(c) and len(transforms) == 2
