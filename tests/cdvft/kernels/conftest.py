"""The fused kernels in Triton's interpreter, on any machine; and as if nothing were timed on this one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cdvft.kernels import autograd_ops, engine_choice, linear, native


@pytest.fixture
def no_times(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Nothing was timed on this machine before, nor is anything after; the compiled library is loaded."""
    native.library()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    engine_choice._table.cache_clear()
    yield
    engine_choice._table.cache_clear()


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-precision inputs are multiplied in their own dtype, as anywhere but on a CPU."""
    for module in (linear, autograd_ops):
        monkeypatch.setattr(module, "product_dtype", lambda x, _: x.dtype)


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

    make_type, types = tl.block_type.__init__, {}

    def known_type(self: tl.block_type, element: tl.dtype, shape: Any) -> None:
        """As Triton makes it, several times for each operation."""
        key = element.name, *(getattr(size, "value", size) for size in shape)
        if key not in types:
            make_type(self, element, shape)
            types[key] = vars(self)
        vars(self).update(types[key])

    numpy_types: dict[str, Any] = {}
    find_numpy_type = interpreter._get_np_dtype

    def known_numpy_type(of: tl.dtype) -> Any:
        """As Triton finds it, in a table that it writes anew for each operation."""
        if of.name not in numpy_types:
            numpy_types[of.name] = find_numpy_type(of)
        return numpy_types[of.name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "TRITON_INTERPRET", "1")
        patch.setattr(InterpretedFunction, "__call__", call)
        patch.setattr(tl.block_type, "__init__", known_type)
        patch.setattr(interpreter, "_get_np_dtype", known_numpy_type)
        for reduction in ("max", "sum"):
            patch.setattr(tl, reduction, InterpretedFunction(getattr(tl, reduction).fn))
        from cdvft.kernels.fused import operators

        yield operators
