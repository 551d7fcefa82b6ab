"""Which engines may be selected: by environment, by verified device, by self-test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cdvft.circulant import Factors
from cdvft.kernels import allowed_engines, chunked, fused, native, self_test
from cdvft.kernels.engine_choice import available_engines, select

CPU = torch.device("cpu")
UNIT = Factors([torch.ones(256)] * 2, [torch.ones(1, 1, 256)], 1.0)


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A CUDA device that supports the fused kernels and is not recorded as verified."""
    monkeypatch.delenv("CDVFT_ENGINE", raising=False)
    monkeypatch.setattr(fused, "supports", lambda *_: True)
    monkeypatch.setattr(native, "supports", lambda *_: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "A card")
    record = tmp_path / "verified_devices.json"
    record.write_text("{}")
    monkeypatch.setattr(allowed_engines, "VERIFIED_DEVICES", record)
    monkeypatch.setattr(allowed_engines, "kernels_digest", lambda: "these")
    allowed_engines._verified_devices.cache_clear()
    yield
    allowed_engines._verified_devices.cache_clear()


class OnCuda:
    """The attributes of an input on a device that is not here."""

    device, dtype, shape = torch.device("cuda"), torch.float32, torch.Size([5, 256])


def chosen(backend: Any = "fft") -> str:
    return select(OnCuda(), *UNIT[:2], separate=True, backend=backend).engine  # type: ignore[arg-type]


def test_select_uses_torch_until_fused_is_verified(on_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for device, engine in ((None, "chunked"), ("Another card", "chunked"), ("A card", "fused")):
        if device:
            allowed_engines.record_verified(device)
        assert chosen() == engine
    monkeypatch.setattr(allowed_engines, "kernels_digest", lambda: "changed")
    assert chosen() == "chunked"


def test_select_honors_explicit_fused(on_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen("fused") == "fused"
    monkeypatch.setenv("CDVFT_ENGINE", "fused")
    assert chosen() == "fused"


def test_environment_rejects_unknown_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDVFT_ENGINE", "cuda, native")
    with pytest.raises(ValueError, match="'cuda'"):
        available_engines(torch.empty(3, 256), UNIT.circulants)


def broken(wrong: str) -> Any:
    """torch's own transforms, with one error."""

    class Broken:
        __name__ = "broken"
        supports = staticmethod(lambda *_: True)

        @staticmethod
        def forward_(y: Tensor, x: Tensor, factors: Factors) -> None:
            chunked.forward_(y, x, factors)
            if wrong == "update":
                y *= 1.01
            if wrong == "rows":
                y += x.mean(0)

        @staticmethod
        def backward(x: Tensor, grad: Tensor, factors: Factors, grad_x: Tensor | None) -> Any:
            diagonals, circulants = chunked.backward(x, grad, factors, grad_x)
            return diagonals, [c.flip(-1) if wrong == "gradient" else c for c in circulants]

    return Broken()


@pytest.mark.parametrize("wrong", ["update", "rows", "gradient"])
def test_self_test_rejects_wrong_engines(wrong: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not self_test.is_correct(broken(wrong), CPU)
    assert caplog.records[0].args[:2] == ("broken", CPU)  # type: ignore[index]
