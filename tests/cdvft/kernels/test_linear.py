"""`cd_linear` against the dense product and against autograd, gradients included."""

import pytest
import torch
from torch import Tensor

from cdvft.blocks import partitions
from cdvft.circulant import Factors, cd_product
from cdvft.kernels import BACKENDS, Backend, adapted_linear, cd_linear, cd_linear_reference, native

# d_out, d_in, m, block size: square, blocked, padded on either side, p = 1, odd lengths, more factors
SHAPES = [
    (8, 8, 2, None),
    (8, 8, 2, 4),
    (8, 8, 2, 1),
    (12, 8, 2, None),
    (7, 5, 2, 3),
    (5, 7, 2, 7),
    (1, 6, 2, None),
    (6, 9, 3, 4),
    (9, 6, 4, None),
    (5, 5, 5, 2),
]
ALPHA = 0.7


def make(
    d_out: int, d_in: int, m: int, p: int | None, *batch: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        values = torch.randn(*shape, dtype=torch.float64, generator=generator)
        return values.to(dtype).requires_grad_()

    diagonals = [random(d_in), *(random(d_out) for _ in range(m - 1))]
    circulants = [random(part.q1, part.q2, part.p) for part in partitions(d_out, d_in, m, p)]
    return random(*batch, d_in), diagonals, circulants


def gradients(function, x: Tensor, diagonals: list[Tensor], circulants: list[Tensor]) -> list[Tensor]:
    out = function(x, diagonals, circulants, ALPHA)
    weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).reshape(out.shape)
    return list(torch.autograd.grad(out, [x, *diagonals, *circulants], weights))


def dense(x: Tensor, diagonals: list[Tensor], circulants: list[Tensor], alpha: float) -> Tensor:
    return x @ (alpha * cd_product(diagonals, circulants)).T


@pytest.mark.parametrize("batch", [(1,), (5,), (2, 3), ()])
@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_dense_and_reference(shape: tuple, batch: tuple) -> None:
    arguments = make(*shape, *batch)
    for truth in (dense, cd_linear_reference):
        torch.testing.assert_close(cd_linear(*arguments, ALPHA), truth(*arguments, ALPHA))
        for ours, theirs in zip(gradients(cd_linear, *arguments), gradients(truth, *arguments), strict=True):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradcheck_first_and_second_order(shape: tuple) -> None:
    x, diagonals, circulants = make(*shape, 2)
    m = len(diagonals)

    def function(x: Tensor, *factors: Tensor) -> Tensor:
        return cd_linear(x, factors[:m], factors[m:], ALPHA)

    assert torch.autograd.gradcheck(function, (x, *diagonals, *circulants))
    assert torch.autograd.gradgradcheck(function, (x, *diagonals, *circulants))


@pytest.mark.parametrize("shape", [(768, 768, 2, None), (256, 192, 3, 64), (100, 130, 2, 33)])
def test_float32_is_within_1e_6_of_float64(shape: tuple) -> None:
    exact, single = make(*shape, 32), make(*shape, 32, dtype=torch.float32)
    pairs = [(cd_linear(*single, ALPHA), dense(*exact, ALPHA))]
    pairs += zip(gradients(cd_linear, *single), gradients(dense, *exact), strict=True)
    for ours, truth in pairs:
        assert (ours.double() - truth).norm() <= 1e-6 * truth.norm()


@pytest.mark.parametrize("batch", [(0,), (0, 3), (2, 0)])
@pytest.mark.parametrize("m", [2, 3])
def test_empty_batch_gives_empty_output_and_zero_gradients(batch: tuple, m: int) -> None:
    x, diagonals, circulants = make(6, 4, m, None, *batch)
    out = cd_linear(x, diagonals, circulants, ALPHA)
    assert out.shape == (*batch, 6)
    out.sum().backward()
    assert x.grad is not None and x.grad.shape == x.shape
    assert all(torch.count_nonzero(factor.grad) == 0 for factor in (*diagonals, *circulants))


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda x: x.transpose(0, 1), id="transposed"),
        pytest.param(lambda x: x[:, :1].expand(-1, 3, -1), id="expanded"),
        pytest.param(lambda x: x.flip(-1)[::2], id="strided"),
    ],
)
def test_inputs_that_are_not_contiguous(view) -> None:
    x, diagonals, circulants = make(7, 5, 2, 3, 2, 3)
    for ours, theirs in zip(
        gradients(lambda x, *rest: cd_linear(view(x), *rest), x, diagonals, circulants),
        gradients(lambda x, *rest: dense(view(x), *rest), x, diagonals, circulants),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_inputs_are_computed_in_float32_and_get_half_gradients(dtype: torch.dtype) -> None:
    x, diagonals, circulants = make(8, 8, 2, None, 3, dtype=torch.float32)
    half = x.detach().to(dtype).requires_grad_()
    out = cd_linear(half, diagonals, circulants, ALPHA)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, dense(half.float(), diagonals, circulants, ALPHA))
    out.sum().backward()
    assert half.grad is not None and half.grad.dtype == dtype
    assert all(factor.grad.dtype == torch.float32 for factor in (*diagonals, *circulants))


def test_autocast_does_not_reach_the_fft() -> None:
    arguments = make(8, 8, 2, 4, 3, dtype=torch.float32)
    expected = [cd_linear(*arguments, ALPHA), *gradients(cd_linear, *arguments)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = [cd_linear(*arguments, ALPHA), *gradients(cd_linear, *arguments)]
    for ours, truth in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, truth, rtol=0, atol=0)


def test_backward_saves_the_input_itself_and_nothing_per_token() -> None:
    x, diagonals, circulants = make(8, 8, 3, None, 50, dtype=torch.float32)
    saved: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        cd_linear(x, diagonals, circulants, ALPHA)
    beyond = [t for t in saved if t.data_ptr() != x.data_ptr()]
    assert {t.data_ptr() for t in beyond} <= {t.data_ptr() for t in (*diagonals, *circulants)}


@pytest.mark.parametrize("frozen", ["input", "factors", "one factor"])
def test_only_what_requires_a_gradient_gets_one(frozen: str) -> None:
    x, diagonals, circulants = make(8, 8, 2, None, 3)
    stopped = {"input": [x], "factors": [*diagonals, *circulants], "one factor": [circulants[0]]}[frozen]
    for tensor in stopped:
        tensor.requires_grad_(False)
    live = [t for t in (x, *diagonals, *circulants) if t.requires_grad]
    ours = torch.autograd.grad(cd_linear(x, diagonals, circulants, ALPHA).sum(), live)
    theirs = torch.autograd.grad(dense(x, diagonals, circulants, ALPHA).sum(), live)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("diagonals", "circulants"),
    [
        ([64] * 3, [(1, 1, 64)]),
        ([64] * 2, [(1, 1, 64)] * 2),
        ([64] * 2, [(1, 1, 16)]),
        ([64] * 2, [(4, 4, 8)]),
        ([64] * 2, [(64,)]),
        ([64] * 2, [(1, 1, 0)]),
        ([64, 32], [(1, 1, 16)]),
        ([64], []),
    ],
)
def test_circulants_that_do_not_fit_between_the_diagonals_are_refused(
    diagonals: list[int], circulants: list[tuple]
) -> None:
    vectors = [torch.ones(n) for n in diagonals], [torch.ones(shape) for shape in circulants]
    with pytest.raises(ValueError, match=r"diagonals of lengths .* stands one circulant \(q1, q2, p\)"):
        cd_linear(torch.ones(3, 64), *vectors, ALPHA, "fft")


def test_inputs_and_backends_that_are_none_are_refused() -> None:
    x, diagonals, circulants = make(8, 8, 2, None, 3, dtype=torch.float32)
    with pytest.raises(ValueError, match="complex64, but the layer takes real numbers"):
        cd_linear(x.to(torch.complex64), diagonals, circulants, ALPHA)
    with pytest.raises(ValueError, match="backend 'mergd', but there are 'auto', 'fft'"):
        cd_linear(x, diagonals, circulants, ALPHA, "mergd")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_torchs_default_dtype_and_device_change_nothing(
    backend: Backend, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = make(60, 60, 2, None, 40, dtype=torch.float32)
    factors = Factors(*arguments[1:], ALPHA)
    weight = torch.eye(60)

    def passes() -> list[Tensor]:
        for plans in ("_complex_plans", "_real_plans"):
            monkeypatch.setattr(native.plan, plans, {})  # they are made anew
        out = adapted_linear(arguments[0], weight, None, factors, backend)
        return [out, *torch.autograd.grad(out.square().sum(), [arguments[0], *arguments[1], *arguments[2]])]

    try:
        torch.set_default_dtype(dtype)
        with torch.device("meta"):
            found = passes()
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(found, passes(), strict=True))


def test_inference_mode_and_checkpointing() -> None:
    arguments = make(8, 8, 2, None, 3)
    with torch.inference_mode():
        torch.testing.assert_close(cd_linear(*arguments, ALPHA), dense(*arguments, ALPHA))

    def checkpointed(*args):
        return torch.utils.checkpoint.checkpoint(cd_linear, *args, use_reentrant=False)

    for ours, theirs in zip(gradients(checkpointed, *arguments), gradients(dense, *arguments), strict=True):
        torch.testing.assert_close(ours, theirs)
