"""The fused kernels in Triton's interpreter, which runs them on any machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from attention import supports_anywhere
from torch import Tensor

from cdvft import shared_input
from cdvft.kernels import fused, group, linear, native, passes


@pytest.fixture(scope="module")
def operators() -> Iterator[ModuleType]:
    """The launches, interpreted: Triton decides when kernels are imported, and decided so for its own."""
    import triton.language as tl
    from triton.runtime.interpreter import InterpretedFunction

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "TRITON_INTERPRET", "1")
        for reduction in ("max", "sum"):
            patch.setattr(tl, reduction, InterpretedFunction(getattr(tl, reduction).fn))
        from cdvft.kernels.fused import operators

        yield operators


@pytest.fixture
def grouped(operators: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """As on a GPU; how many layers each pass served at once."""
    counts: list[int] = []
    whole = group.adapted_linears

    def counted(x: Tensor, members: Any) -> Any:
        counts.append(len(members))
        return whole(x, members)

    monkeypatch.setattr(shared_input, "DEVICES", ("cpu",))
    monkeypatch.setattr(shared_input, "adapted_linears", counted)
    monkeypatch.setenv("CDVFT_ENGINE", "fused")
    monkeypatch.setattr(fused, "supports", supports_anywhere)
    monkeypatch.setattr(native, "supports", lambda *_: False)
    for module in (linear, passes):
        monkeypatch.setattr(module, "product_dtype", lambda x, _: x.dtype)
    yield counts
