"""On the CPU spectra are computed once while a circulant's values do not change, and anew however they do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from cdvft.circulant import Factors
from cdvft.kernels import cd_linear
from cdvft.kernels.chunked import kept_spectrum
from cdvft.kernels.cost_model import PLANS
from cdvft.kernels.engine_choice import Selection


@pytest.fixture
def transforms(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What was transformed."""
    seen: list[Tensor] = []
    rfft = torch.fft.rfft
    monkeypatch.setattr(torch.fft, "rfft", lambda c: seen.append(c) or rfft(c))
    return seen


def agrees(c: Tensor) -> bool:
    found, n = kept_spectrum(c), c.shape[-1]
    return torch.allclose(torch.fft.irfft(found, n=n), c, atol=1e-6)


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
def test_is_computed_once_and_anew_after_any_change(change, transforms) -> None:
    c = nn.Parameter(torch.randn(1, 2, 6))
    assert all(agrees(c) for _ in range(3)) and len(transforms) == 1
    change(c)
    assert agrees(c) and len(transforms) == 2


def test_off_the_cpu_nothing_is_kept(transforms: list[Tensor]) -> None:
    """A device is not asked for values, and torch does not count all writes to them."""
    c = nn.Parameter(torch.empty(1, 1, 6, device="meta"))
    for _ in range(2):
        kept_spectrum(c)
    assert len(transforms) == 2


def test_a_pass_over_fake_tensors_leaves_nothing_behind() -> None:
    """As a tool makes it that estimates the memory of a step before training."""
    factors = Factors([torch.ones(11)] * 2, [nn.Parameter(torch.randn(1, 1, 11))], 1.0)
    x, way = torch.randn(3, 11), Selection("chunked", PLANS["transforms"])
    with FakeTensorMode(allow_non_fake_inputs=True):
        for _ in range(2):
            assert cd_linear(torch.randn(3, 11), *factors, way).shape == x.shape  # type: ignore[arg-type]
    found = cd_linear(x, *factors, way)  # type: ignore[arg-type]
    torch.testing.assert_close(found, cd_linear(x, *factors, "reference"))


def test_inference_mode_shares_and_leaves_usable_spectra(transforms: list[Tensor]) -> None:
    c = nn.Parameter(torch.randn(1, 1, 6))
    with torch.inference_mode():
        assert agrees(c)
        assert agrees(torch.randn(1, 1, 6))  # an inference tensor has no version
    assert agrees(c)
    assert len(transforms) == 2
