"""What `cd_linear` refuses, and in which dtype it calculates. Its results: test_fast_kernels.py."""

import pytest
import torch
from kernel_problem import Problem
from torch import Tensor

from cdvft.kernels import BACKENDS, adapted_linear, cd_linear, native


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_inputs_are_computed_in_float32_and_get_half_gradients(dtype: torch.dtype) -> None:
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
def test_circulants_that_do_not_fit_between_the_diagonals_are_refused(diagonals, circulants) -> None:
    vectors = [torch.ones(n) for n in diagonals], [torch.ones(shape) for shape in circulants]
    with pytest.raises(ValueError, match=r"diagonals of lengths .* stands one circulant \(q1, q2, p\)"):
        cd_linear(torch.ones(3, 64), *vectors, 1.0, "fft")


def test_inputs_and_backends_that_are_none_are_refused() -> None:
    x, _, factors = Problem(8, 8, 2, None, 3).frozen()
    with pytest.raises(ValueError, match="complex64, but the layer takes real numbers"):
        cd_linear(x.to(torch.complex64), *factors)
    with pytest.raises(ValueError, match="backend 'mergd', but there are 'auto', 'fft'"):
        cd_linear(x, *factors, "mergd")  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_torchs_default_dtype_and_device_change_nothing(backend, dtype, monkeypatch) -> None:
    problem, weight = Problem(60, 60, 2, None, 40), torch.eye(60)
    factors = problem.factors(problem.ours)

    def passes() -> list[Tensor]:
        for plans in ("_complex_plans", "_real_plans"):
            monkeypatch.setattr(native.plan, plans, {})  # they are made anew
        out = adapted_linear(problem.ours[0], weight, None, factors, backend)
        return [out, *torch.autograd.grad(out.square().sum(), problem.ours)]

    try:
        torch.set_default_dtype(dtype)
        with torch.device("meta"):
            found = passes()
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(found, passes(), strict=True))
