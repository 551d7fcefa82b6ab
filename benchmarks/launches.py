"""What kernels are given when they are launched: for a dense update, and for several layers of one input."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from cdvft.circulant import Factors
from cdvft.kernels.fused import dense
from cdvft.kernels.fused.cube_shape import Cube, shape_for
from cdvft.kernels.fused.plan import Plan
from cdvft.kernels.fused.vectors import Vectors

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass(frozen=True)
class Matrix:
    """A weight and its circulant: d_out x d_in in blocks of p."""

    d_out: int
    d_in: int
    p: int
    warps = dense.WARPS
    waste = 0.0  # no tile of those below is cut off by the matrix's edge

    @property
    def width(self) -> str:
        """As a record calls it."""
        shape = f"{self.d_in} -> {self.d_out}"
        return f"{shape}, blocks of {self.p}" if self.p < min(self.d_in, self.d_out) else shape

    def source(self, kernel: str, dtype: str) -> Any:
        """What Triton compiles for a launch of the kernel of this name."""
        from cdvft.kernels.fused import launch

        def run() -> None:
            weight = torch.empty(self.d_out, self.d_in, dtype=DTYPES[dtype])
            c = torch.empty(-(-self.d_out // self.p), -(-self.d_in // self.p), self.p)
            factors = Factors([torch.empty(self.d_in), torch.empty(self.d_out)], [c], 0.5)
            dense.merged_weight(weight, factors, weight.dtype)
            dense.gradients(weight, factors)

        return _source(*_launches(run, launch)[kernel])


@dataclass(frozen=True)
class Together:
    """Query, key and value of one input."""

    width: int

    @property
    def warps(self) -> int:
        """Of a program."""
        return self._shape.warps

    @property
    def waste(self) -> float:
        """Share of the tiles that is masked."""
        return self._shape.waste

    @property
    def _shape(self) -> Plan | Cube:
        shape = shape_for(self.width)
        assert shape is not None, f"no plan for {self.width}"
        return shape

    def source(self, kernel: str, dtype: str) -> Any:
        """What Triton compiles for a launch of the kernel of this name."""
        from cdvft.kernels.fused import group, group_cube

        def run() -> None:
            x, *others = (torch.empty(16, self.width, dtype=DTYPES[dtype]) for _ in range(4))
            biases = [torch.empty(self.width, dtype=DTYPES[dtype]) for _ in range(3)]
            vectors = Vectors(*(tuple(torch.empty(self.width) for _ in range(3)) for _ in range(3)))
            group.update(x, vectors, 0.5, biases)
            group.gradients(x, others, vectors, 0.5, needs_x=True)

        return _source(*_launches(run, group, group_cube)[kernel])


def _launches(run: Callable[[], None], *modules: Any) -> dict[str, tuple[Any, dict[str, Any]]]:
    """The kernels that these modules launch in a run, by name, and what each is given."""
    found: dict[str, tuple[Any, dict[str, Any]]] = {}

    def launched(kernel: Any, _: int) -> Any:
        def keep(*given: Any, **constants: Any) -> None:
            by_name = dict(zip(kernel.arg_names, given, strict=False))
            found[kernel.fn.__name__] = kernel, by_name | constants

        return defaultdict(lambda: keep)  # whatever the grid

    with torch.device("meta"), ExitStack() as stack:
        for module in modules:
            stack.enter_context(mock.patch.object(module, "launched", launched))
        run()
    return found


def _source(function: Any, given: dict[str, Any]) -> Any:
    """The launch as Triton compiles it: every whole number of 16 and every pointer is told to be one."""
    from triton.compiler import ASTSource

    names = function.arg_names
    sizes = {name: value for name, value in given.items() if isinstance(value, (int, str))}
    values = {name: value for name, value in sizes.items() if name.isupper() or value == 1}
    divisible = [["tt.divisibility", 16]]
    attributes: dict[tuple[int, ...], Any] = {}
    for name, value in given.items():
        if isinstance(value, tuple):
            attributes |= {(names.index(name), n): divisible for n in range(len(value))}
        elif isinstance(value, Tensor) or (name in sizes.keys() - values.keys() and value % 16 == 0):
            attributes[names.index(name),] = divisible
    return ASTSource(
        function,
        signature={name: "constexpr" if name in values else _type(given[name]) for name in names},
        constexprs={(names.index(name),): value for name, value in values.items()},
        attrs=attributes,
    )


def _type(value: Any) -> Any:
    """As Triton calls it."""
    if isinstance(value, tuple):
        return tuple(map(_type, value))
    if isinstance(value, Tensor):
        return f"*{next(name for name, dtype in DTYPES.items() if dtype == value.dtype)}"
    return "fp32" if isinstance(value, float) else "i32"


MATRICES = {
    matrix.width: matrix
    for matrix in (
        Matrix(768, 768, 768),
        Matrix(4096, 4096, 4096),
        Matrix(3072, 768, 768),
        Matrix(768, 768, 64),
        Matrix(768, 768, 4),
    )
}
