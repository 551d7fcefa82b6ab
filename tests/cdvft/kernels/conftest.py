"""The fused kernels in Triton's interpreter, which runs them on any machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import ModuleType

import pytest


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
