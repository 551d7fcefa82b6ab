"""Spectra are computed once while the circulant's values do not change, and anew however they do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cdvft.kernels.spectra import spectrum


@pytest.fixture
def transforms(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What was transformed."""
    seen: list[Tensor] = []
    rfft = torch.fft.rfft
    monkeypatch.setattr(torch.fft, "rfft", lambda c: seen.append(c) or rfft(c))
    return seen


def agrees(c: Tensor) -> bool:
    found, n = spectrum(c), c.shape[-1]
    return torch.allclose(torch.fft.irfft(found, n=n), c, atol=1e-6)


def test_is_computed_once(transforms: list[Tensor]) -> None:
    c = nn.Parameter(torch.randn(2, 2, 6))
    assert all(agrees(c) for _ in range(3))
    assert len(transforms) == 1


def step(c: nn.Parameter) -> None:
    c.grad = torch.ones_like(c)
    torch.optim.AdamW([c], lr=0.1).step()


def fused_step(c: nn.Parameter) -> None:
    c.grad = torch.ones_like(c)
    torch.optim.AdamW([c], lr=0.1, fused=True).step()


def load(c: nn.Parameter) -> None:
    holder = nn.ParameterList([c])
    holder.load_state_dict({"0": torch.randn_like(c)})


def assign(c: nn.Parameter) -> None:
    c.data = torch.randn_like(c)


def write_through_data(c: nn.Parameter) -> None:
    c.data.mul_(2)


def write_through_numpy(c: nn.Parameter) -> None:
    c.detach().numpy()[0, 0, 0] += 1


def cast(c: nn.Parameter) -> None:
    nn.ParameterList([c]).to(torch.float64)


CHANGES = [step, fused_step, load, assign, write_through_data, write_through_numpy, cast]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_is_computed_anew_after_any_change(
    change: Callable[[nn.Parameter], None], transforms: list[Tensor]
) -> None:
    c = nn.Parameter(torch.randn(1, 2, 6))
    assert agrees(c)
    change(c)
    assert agrees(c)
    assert len(transforms) == 2


def test_off_the_cpu_storage_and_version_tell(transforms: list[Tensor]) -> None:
    c = nn.Parameter(torch.empty(1, 1, 6, device="meta"))
    spectrum(c)
    spectrum(c)
    assert len(transforms) == 1
    with torch.no_grad():
        c.mul_(2)
    spectrum(c)
    assert len(transforms) == 2


def test_inference_mode_shares_and_leaves_usable_spectra(transforms: list[Tensor]) -> None:
    c = nn.Parameter(torch.randn(1, 1, 6))
    with torch.inference_mode():
        assert agrees(c)
        assert agrees(torch.randn(1, 1, 6))  # an inference tensor has no version
    assert agrees(c)
    assert len(transforms) == 2
