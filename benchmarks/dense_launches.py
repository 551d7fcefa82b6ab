"""The dense update's kernels as they are launched for a matrix, which `benchmarks.compile_fused` compiles."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from cdvft.circulant import Factors
from cdvft.kernels.fused import dense

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
        from triton.compiler import ASTSource

        function, given = self._launches(DTYPES[dtype])[kernel]
        names = function.arg_names
        sizes = {name: value for name, value in given.items() if isinstance(value, int)}
        values = {name: value for name, value in sizes.items() if name.isupper() or value == 1}
        return ASTSource(
            function,
            signature={name: "constexpr" if name in values else _type(given[name]) for name in names},
            constexprs={(names.index(name),): value for name, value in values.items()},
            attrs={
                (names.index(name),): [["tt.divisibility", 16]]
                for name, value in given.items()
                if isinstance(value, Tensor) or (name in sizes.keys() - values.keys() and value % 16 == 0)
            },
        )

    def _launches(self, dtype: torch.dtype) -> dict[str, tuple[Any, dict[str, Any]]]:
        """The kernels of a pass forward and backward by name, and what each is given."""
        from cdvft.kernels.fused import launch

        found: dict[str, tuple[Any, dict[str, Any]]] = {}

        def launched(kernel: Any, _: int) -> Any:
            def keep(*given: Any, **constants: Any) -> None:
                by_name = dict(zip(kernel.arg_names, given, strict=False))
                found[kernel.fn.__name__] = kernel, by_name | constants

            return defaultdict(lambda: keep)  # whatever the grid

        with torch.device("meta"), mock.patch.object(launch, "launched", launched):
            weight = torch.empty(self.d_out, self.d_in, dtype=dtype)
            c = torch.empty(-(-self.d_out // self.p), -(-self.d_in // self.p), self.p)
            factors = Factors([torch.empty(self.d_in), torch.empty(self.d_out)], [c], 0.5)
            dense.merged_weight(weight, factors, dtype)
            dense.gradients(weight, factors)
        return found


def _type(value: Any) -> str:
    """As Triton calls it."""
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
