"""Spectra are computed once while the circulant's values do not change, and anew however they do."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from cdvft.spectra import spectrum


class Engine(ModuleType):
    """Counts its transforms."""

    def __init__(self) -> None:
        super().__init__("engine")
        self.calls = 0

    def spectrum(self, c: Tensor) -> Tensor:
        self.calls += 1
        return torch.fft.rfft(c)


def agrees(c: Tensor, engine: Engine) -> bool:
    return torch.equal(spectrum(c, engine), torch.fft.rfft(c.detach()))


def test_is_computed_once() -> None:
    c, engine = nn.Parameter(torch.randn(2, 2, 6)), Engine()
    assert all(agrees(c, engine) for _ in range(3))
    assert engine.calls == 1
    assert agrees(c, Engine())  # another engine's spectra are others


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
def test_is_computed_anew_after_any_change(change: Callable[[nn.Parameter], None]) -> None:
    c, engine = nn.Parameter(torch.randn(1, 2, 6)), Engine()
    assert agrees(c, engine)
    change(c)
    assert agrees(c, engine)
    assert engine.calls == 2


def test_off_the_cpu_storage_and_version_tell() -> None:
    c, engine = nn.Parameter(torch.empty(1, 1, 6, device="meta")), Engine()
    spectrum(c, engine)
    spectrum(c, engine)
    assert engine.calls == 1
    with torch.no_grad():
        c.mul_(2)
    spectrum(c, engine)
    assert engine.calls == 2


def test_inference_mode_shares_and_leaves_usable_spectra() -> None:
    c, engine = nn.Parameter(torch.randn(1, 1, 6)), Engine()
    with torch.inference_mode():
        assert agrees(c, engine)
        assert agrees(torch.randn(1, 1, 6), engine)  # an inference tensor has no version
    assert agrees(c, engine)
    assert engine.calls == 2
