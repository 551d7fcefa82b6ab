"""The fused kernels in Triton's interpreter, which runs them on any machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def operators() -> Iterator[ModuleType]:
    """The launches, interpreted: Triton decides when kernels are imported, and decided so for its own."""
    import triton.language as tl
    from triton.runtime import interpreter
    from triton.runtime.interpreter import InterpretedFunction

    def call(function: InterpretedFunction, *arguments: Any, **named: Any) -> Any:
        """As Triton has it, which patches its language anew for each call of each function of a kernel."""
        if "tl" not in function.fn.__globals__:  # as the launch has for those that call it so
            interpreter._patch_lang(function.fn)
        return function.rewrite()(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "TRITON_INTERPRET", "1")
        patch.setattr(InterpretedFunction, "__call__", call)
        for reduction in ("max", "sum"):
            patch.setattr(tl, reduction, InterpretedFunction(getattr(tl, reduction).fn))
        from cdvft.kernels.fused import operators

        yield operators
