"""Dtypes and argument checks of `cd_linear`; its results are in test_fast_kernels.py."""

from typing import Any

import pytest
import torch
from kernel_problem import Problem

from cdvft.kernels import cd_linear


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_inputs_are_computed_in_float32(dtype: torch.dtype) -> None:
    problem = Problem(8, 8, 2, None, 3, dtype=dtype, alone=True)
    out = problem.run("auto")
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.double(), problem.truth(), rtol=1.3e-6, atol=1e-5)
    out.sum().backward()
    assert [t.grad.dtype for t in problem.ours] == [dtype, *[torch.float32] * 3]


@pytest.mark.parametrize(
    ("diagonals", "circulants"),
    [
        *[([64] * 2, [shape]) for shape in ((1, 1, 16), (4, 4, 8), (64,), (1, 1, 0))],
        *[([64] * 3, [(1, 1, 64)]), ([64] * 2, [(1, 1, 64)] * 2), ([64, 32], [(1, 1, 16)]), ([64], [])],
    ],
)
def test_mismatched_vectors_are_rejected(diagonals: list[int], circulants: list) -> None:
    vectors = [torch.ones(n) for n in diagonals], [torch.ones(shape) for shape in circulants]
    with pytest.raises(ValueError, match=r"\[64"):
        cd_linear(torch.ones(3, 64), *vectors, 1.0, "fft")


@pytest.mark.parametrize(("dtype", "backend"), [(torch.complex64, "auto"), (torch.float32, "mergd")])
def test_complex_inputs_and_bad_backends_are_rejected(dtype: torch.dtype, backend: Any) -> None:
    x, _, factors = Problem(8, 8, 2, None, 3).frozen()
    with pytest.raises(ValueError, match=r"complex64|'mergd'"):
        cd_linear(x.to(dtype), *factors, backend)
