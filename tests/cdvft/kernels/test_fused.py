"""The fused kernels in Triton's interpreter, value and gradients, against the method in float64."""

from __future__ import annotations

import platform
from types import ModuleType

import pytest
import torch
from fused_problem import ALPHA, PRODUCTS, expected, far, tensors
from kernel_problem import Problem
from operators_seen import Watch
from torch import Tensor, nn

from cdvft.circulant import Factors, cd_product
from cdvft.kernels import adapted_linear, cd_linear, fused, native
from cdvft.kernels.engine_choice import select

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="needs Linux: Triton comes for it alone")


# every radix and number of columns; then masked ones; 13 tokens: programs with several
@pytest.mark.parametrize(
    ("width", "tokens"),
    [
        *[(256, 13), (256, 1), (512, 3), (768, 3), (1024, 2), (1536, 2), (2048, 2), (3072, 2), (4096, 2)],
        *[(24, 13), (192, 5), (384, 3), (640, 2), (1000, 2), (1152, 2), (1280, 2), (1792, 2), (49, 3)],
    ],
)
def test_value_and_gradients_are_those_of_the_method(operators: ModuleType, width: int, tokens: int) -> None:
    x, grad, first, c, last = given = tensors(width, tokens)
    truth = expected(*given)
    x, grad, first, c, last = (t.float() for t in given)
    found = [
        operators.update(x, first, c, last, ALPHA),
        *operators.gradients(x, grad, first, c, last, ALPHA, None),
    ]
    assert [far(a, b) < 1e-6 for a, b in zip(found, truth, strict=True)] == [True] * 5
    bias = torch.linspace(-1, 1, width)
    assert far(operators.update(x, first, c, last, ALPHA, bias=bias), truth[0] + bias) < 1e-6


@pytest.mark.parametrize(
    ("width", "dtype"),
    [
        *[(width, torch.bfloat16) for width in (256, 2048, 4096)],
        *[(width, torch.float16) for width in (768, 576)],
    ],
)
def test_half_precision_is_off_by_products_in_fp16_and_its_own_rounding(
    operators: ModuleType, width: int, dtype: torch.dtype
) -> None:
    given = tensors(width, 2, dtype)
    truth = expected(*given)
    x, grad = (t.to(dtype) for t in given[:2])
    first, c, last = (t.float() for t in given[2:])
    update = operators.update(x, first, c, last, ALPHA)
    by_x, *by_vectors = operators.gradients(x, grad, first, c, last, ALPHA, None)
    assert update.dtype == by_x.dtype == dtype
    assert far(update, truth[0]) < PRODUCTS + torch.finfo(dtype).eps / 2
    assert far(by_x, truth[1]) < PRODUCTS + torch.finfo(dtype).eps / 2
    assert [far(a, b) < PRODUCTS for a, b in zip(by_vectors, truth[2:], strict=True)] == [True] * 3


@pytest.mark.parametrize(
    ("width", "size"),
    [*[(256, size) for size in (1e-8, 1e-6, 1e-3, 1e3, 1e4)], (1024, 1e-8), (4096, 1e4)],
)
def test_products_in_fp16_hold_inputs_and_gradients_of_any_size(
    operators: ModuleType, width: int, size: float
) -> None:
    given = tensors(width, 2, torch.bfloat16)
    given[:2] = [(size * t).bfloat16().double() for t in given[:2]]
    truth = expected(*given)
    x, grad = (t.bfloat16() for t in given[:2])
    first, c, last = (t.float() for t in given[2:])
    half = torch.finfo(torch.bfloat16).eps / 2
    by_x, *by_vectors = operators.gradients(x, grad, first, c, last, ALPHA, None)
    assert far(operators.update(x, first, c, last, ALPHA), truth[0]) < PRODUCTS + half
    assert far(by_x, truth[1]) < PRODUCTS + half
    assert [far(a, b) < PRODUCTS for a, b in zip(by_vectors, truth[2:], strict=True)] == [True] * 3


def test_each_token_has_a_scale_of_its_own(operators: ModuleType) -> None:
    sizes = torch.tensor([1e-8, 1e4, 1, 1e-6, 1e6, 1e-3, 1e8, 1e-30])
    given = tensors(256, 8, torch.bfloat16)
    given[:2] = [(sizes[:, None] * t).bfloat16().double() for t in given[:2]]
    truth = expected(*given)
    x, grad = (t.bfloat16() for t in given[:2])
    first, c, last = (t.float() for t in given[2:])
    update = operators.update(x, first, c, last, ALPHA)
    by_x = operators.gradients(x, grad, first, c, last, ALPHA, None)[0]
    close = PRODUCTS + torch.finfo(torch.bfloat16).eps / 2
    assert [far(a, b) < close for a, b in zip(update, truth[0], strict=True)] == [True] * 8
    assert [far(a, b) < close for a, b in zip(by_x, truth[1], strict=True)] == [True] * 8


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rows_of_zeros_and_denormal_numbers_are_finite(operators: ModuleType, dtype: torch.dtype) -> None:
    given = tensors(256, 4, dtype)
    smallest = torch.finfo(dtype).smallest_normal
    for t in given[:2]:
        t[0], t[1], t[2] = 0, smallest / 4, smallest * t[2].sign()
    x, grad = (t.to(dtype) for t in given[:2])
    first, c, last = (t.float() for t in given[2:])
    found = [operators.update(x, first, c, last, ALPHA)]
    found += operators.gradients(x, grad, first, c, last, ALPHA, None)
    assert all(bool(t.isfinite().all()) for t in found)
    assert not found[0][0].any() and not found[1][0].any()
    assert far(found[0][3], expected(*given)[0][3]) < PRODUCTS + torch.finfo(dtype).eps / 2


@pytest.mark.parametrize(("width", "tokens"), [(256, 7), (4096, 1)])
def test_the_engine_adds_in_place_and_leaves_out_what_nobody_needs(
    operators: ModuleType, width: int, tokens: int
) -> None:
    given = tensors(width, tokens)
    truth = expected(*given)
    x, grad, first, c, last = (t.float() for t in given)
    factors = Factors([first, last], [c], ALPHA)
    y, by_x = torch.ones_like(x), torch.ones_like(x)
    fused.forward_(y, x.mT.contiguous().mT, factors)  # a view: its rows are not in one piece
    diagonals, circulants = fused.backward(x, grad, factors, by_x)
    alone = fused.backward(x, grad, factors, None)
    assert far(y - 1, truth[0]) < 1e-6
    assert far(by_x - 1, truth[1]) < 1e-6
    assert circulants[0].shape == (1, 1, width)
    for found in ((diagonals, circulants), alone):
        (by_first, by_last), (by_c,) = found
        assert far(by_first, truth[2]) < 1e-6
        assert far(by_last, truth[3]) < 1e-6
        assert far(by_c, truth[4]) < 1e-6


def test_a_bias_may_be_a_column_of_another_tensor(operators: ModuleType) -> None:
    x, _, first, c, last = (t.float() for t in tensors(256, 3))
    factors, bias = Factors([first, last], [c], ALPHA), torch.randn(256, 2)[:, 0]
    assert torch.equal(fused.update(x, factors, bias), fused.update(x, factors, bias.clone()))


@pytest.mark.parametrize("width", [256, 4096])
def test_no_tokens_give_no_update_and_gradients_of_zero(operators: ModuleType, width: int) -> None:
    x, grad, first, c, last = (t.float() for t in tensors(width, 0))
    assert operators.update(x, first, c, last, ALPHA).shape == (0, width)
    by_x, *by_vectors = operators.gradients(x, grad, first, c, last, ALPHA, None)
    assert by_x.shape == (0, width)
    assert [bool(v.any()) for v in by_vectors] == [False] * 3


def test_programs_shares_are_added_in_the_same_order_each_time(operators: ModuleType) -> None:
    x, grad, first, c, last = (t.float() for t in tensors(256, 13))
    once, again = (operators.gradients(x, grad, first, c, last, ALPHA, None) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


def test_the_operator_of_torch_has_the_gradients(operators: ModuleType) -> None:
    given = tensors(256, 3)
    truth = expected(*given)
    x, grad, first, c, last = (t.float().requires_grad_() for t in given)
    out = torch.ops.cdvft.update(x, first, c, last, ALPHA)
    found = [out, *torch.autograd.grad(out, (x, first, last, c), grad)]
    assert all(far(a, b) < 1e-6 for a, b in zip(found, truth, strict=True))


@pytest.fixture
def anywhere(operators: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule takes the kernel for one that this device can run, as on CUDA."""
    monkeypatch.setenv("CDVFT_ENGINE", "fused")
    monkeypatch.setattr(fused, "supports", lambda _, circulants: fused.supports_shapes(circulants))
    monkeypatch.setattr(native, "supports", lambda *_: False)


class Layer(nn.Module):
    """An adapted linear layer of float32, by "fft"."""

    def __init__(self, vectors: list[Tensor]) -> None:
        super().__init__()
        self.vectors = nn.ParameterList(v.float() for v in vectors)
        self.register_buffer("weight", torch.eye(256))

    def forward(self, x: Tensor) -> Tensor:
        first, c, last = self.vectors
        factors = Factors([first, last], [c], ALPHA)
        return adapted_linear(x, self.weight, None, factors, "fft")


def test_compile_and_export_see_the_operator_and_its_gradients(anywhere: None) -> None:
    given = tensors(256, 6)
    truth = expected(*given)
    layer, x = Layer(given[2:]), given[0].float().view(2, 3, 256)
    graph = torch.export.export(layer, (x,)).graph
    assert [node.target for node in graph.nodes].count(torch.ops.cdvft.update.default) == 1
    torch._dynamo.reset()
    x.requires_grad_()
    out = torch.compile(layer, backend="aot_eager", fullgraph=True)(x)
    assert far((out - x).view(6, 256), truth[0]) < 1e-6
    found = torch.autograd.grad(out, [x, *layer.vectors], given[1].float().view(2, 3, 256))
    expectations = [truth[1] + given[1], truth[2], truth[4], truth[3]]
    assert all(far(a.view_as(b), b) < 1e-6 for a, b in zip(found, expectations, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_layer_is_served_by_the_kernel(anywhere: None, dtype: torch.dtype) -> None:
    given = tensors(256, 5, dtype)
    x, grad = given[0].to(dtype).requires_grad_(), given[1].to(dtype)
    truth = expected(*given)
    vectors = [v.float().requires_grad_() for v in given[2:]]
    factors = Factors([vectors[0], vectors[2]], [vectors[1]], ALPHA)
    assert select(x, *factors[:2], separate=dtype != torch.float32, backend="fft").engine == "fused"
    out = adapted_linear(x, torch.eye(256, dtype=dtype), None, factors, "fft")
    found = torch.autograd.grad(out, [x, *vectors], grad)
    expectations = [truth[1] + given[1], truth[2], truth[4], truth[3]]
    close = 1e-6 if dtype == torch.float32 else 4e-3
    assert out.dtype == dtype
    assert far(out, truth[0] + given[0]) < close
    assert [far(a, b) < close for a, b in zip(found, expectations, strict=True)] == [True] * 4


@pytest.mark.parametrize(
    ("m", "dtype", "alone"),
    [
        (3, torch.float32, True),
        (4, torch.float32, False),
        (3, torch.bfloat16, True),
        (3, torch.bfloat16, False),
    ],
)
def test_more_circulants_follow_one_another(anywhere: None, m: int, dtype: torch.dtype, alone: bool) -> None:
    problem = Problem(256, 256, m, None, 7, dtype=dtype)
    given = [problem.ours[0].detach(), *(t.detach().float() for t in problem.ours[1:])]
    leaves = [t.requires_grad_() for t in given]
    exact = [t.detach().double().requires_grad_() for t in given]
    grad, weight = problem.grad.to(dtype), problem.weight.to(dtype)
    factors, truth = problem.factors(leaves), problem.factors(exact)
    if alone:
        out = cd_linear(leaves[0], *factors, "fft")
        expected_out = ALPHA * exact[0] @ cd_product(*truth[:2]).T
    else:
        out = adapted_linear(leaves[0], weight, None, factors, "fft")
        expected_out = exact[0] @ (weight.double() + ALPHA * cd_product(*truth[:2])).T
    found = [out, *torch.autograd.grad(out, leaves, grad.to(out.dtype))]
    expectations = [expected_out, *torch.autograd.grad(expected_out, exact, grad.double())]
    close = 1e-6 if dtype == torch.float32 else 4e-3
    assert [far(a, b) < close for a, b in zip(found, expectations, strict=True)] == [True] * (2 * m + 1)


def test_a_mode_that_watches_sees_one_operator(anywhere: None) -> None:
    given = tensors(256, 3)
    first, c, last = (v.float() for v in given[2:])
    factors = Factors([first, last], [c], ALPHA)
    with Watch() as seen:
        out = cd_linear(given[0].float(), *factors, "fft")
    assert far(out, expected(*given)[0]) < 1e-6
    assert seen.names.count("cdvft.update") == 1
