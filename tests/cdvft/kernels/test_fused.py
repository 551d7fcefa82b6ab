"""The fused kernels in Triton's interpreter, value and gradients, against the method in float64."""

from __future__ import annotations

import platform

import pytest
import torch
from kernel_problem import ALPHA, Problem, far, near
from operators_seen import Watch
from torch import Tensor, nn

from cdvft.circulant import Factors
from cdvft.kernels import adapted_linear, cd_linear, fused, native
from cdvft.kernels.engine_choice import select

pytestmark = [
    pytest.mark.skipif(platform.system() != "Linux", reason="needs Linux: Triton comes for it alone"),
    pytest.mark.usefixtures("operators"),
]
PRODUCTS = 9e-4
"""What products in fp16 are off by at most, values and gradients; as those in tf32."""


def passes(problem: Problem) -> list[Tensor | None]:
    """The update and the gradients, by the kernels themselves, whatever would choose them for a layer."""
    x, grad, factors = problem.frozen()
    by_x, (diagonals, circulants) = fused.gradients(x, grad, factors, needs_x=True)
    return [fused.update(x, factors), by_x, *diagonals, *circulants]


def square(width: int, tokens: int) -> tuple[int, int, int, None, int]:
    return width, width, 2, None, tokens


# every radix and number of columns; then masked ones; 5 tokens: programs with several
WHOLE = [(256, 5), (256, 1), (512, 3), (768, 3), (1024, 2), (1280, 2), (1536, 2), (1792, 2), (4096, 2)]
WHOLE += [(1, 2), (24, 5), (49, 3), (384, 3), (640, 2), (1000, 2)]
# wide, tall, in blocks both ways, padded, whole but not square, more radixes, more circulants
BLOCKS = [(64, 32, 2, 32, 5), (32, 64, 2, 32, 5), (64, 96, 2, 32, 3), (50, 70, 2, 32, 3), (40, 48, 2, 48, 3)]
BLOCKS += [(512, 1024, 2, 512, 3), (1536, 768, 2, 768, 3), (64, 32, 3, 32, 4)]


@pytest.mark.parametrize("shape", [*[square(*one) for one in WHOLE], *BLOCKS], ids=str)
def test_value_and_gradients_are_those_of_the_method(shape: tuple) -> None:
    problem = Problem(*shape, alone=True)
    truth = problem.expected()
    near(passes(problem), truth, 1e-6)
    x, _, factors = problem.frozen()
    bias = torch.linspace(-1, 1, 2 * shape[0])[::2]  # a column of another tensor
    assert far(fused.update(x, factors, bias), truth[0] + bias) < 1e-6


@pytest.mark.parametrize(
    ("width", "dtype", "size"),
    [
        *[(width, torch.float16, 1) for width in (768, 576)],
        *[(width, torch.bfloat16, 1) for width in (256, 2048)],
        *[
            (width, torch.bfloat16, size)
            for width, size in ((256, 1e-8), (256, 1e4), (1024, 1e-8), (4096, 1e4))
        ],
    ],
)
def test_half_precision_of_any_size_is_off_by_products_in_fp16_and_its_own_rounding(
    width: int, dtype: torch.dtype, size: float
) -> None:
    problem = Problem(*square(width, 2), dtype=dtype, alone=True, size=size)
    found, truth = passes(problem), problem.expected()
    assert [t.dtype for t in found if t is not None] == [dtype] * 2 + [torch.float32] * 3
    near(found[:2], truth[:2], PRODUCTS + torch.finfo(dtype).eps / 2)
    near(found[2:], truth[2:], PRODUCTS)


def test_each_token_has_a_scale_of_its_own() -> None:
    sizes = torch.tensor([1e-8, 1e4, 1, 1e-6, 1e6, 1e-3, 1e8, 1e-30])[:, None]
    problem = Problem(*square(256, 8), dtype=torch.bfloat16, alone=True, size=sizes)
    for found, truth in zip(passes(problem)[:2], problem.expected()[:2], strict=True):
        near(list(found), list(truth), PRODUCTS + torch.finfo(torch.bfloat16).eps / 2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rows_of_zeros_and_denormal_numbers_are_finite(dtype: torch.dtype) -> None:
    smallest = torch.finfo(dtype).smallest_normal
    sizes = torch.tensor([0, smallest / 4, smallest, 1])[:, None]
    problem = Problem(*square(256, 4), dtype=dtype, alone=True, size=sizes)
    found = passes(problem)
    assert all(bool(t.isfinite().all()) for t in found)
    assert not found[0][0].any() and not found[1][0].any()
    assert far(found[0][3], problem.truth()[3]) < PRODUCTS + torch.finfo(dtype).eps / 2


@pytest.mark.parametrize("shape", [square(256, 4), (64, 32, 2, 32, 3)], ids=str)
def test_the_engine_adds_in_place_and_leaves_out_what_nobody_needs(shape: tuple) -> None:
    problem = Problem(*shape, alone=True)
    (x, grad, factors), truth = problem.frozen(), problem.expected()
    y, by_x = torch.ones_like(grad), torch.ones_like(x)
    fused.forward_(y, x.mT.contiguous().mT, factors)  # a view: its rows are not in one piece
    near([y - 1], truth[:1], 1e-6)
    for grad_x in (by_x, None):
        diagonals, circulants = fused.backward(x, grad, factors, grad_x)
        near([by_x - 1, *diagonals, *circulants], truth[1:], 1e-6)
    assert fused.gradients(x, grad, factors, needs_x=False)[0] is None


@pytest.mark.parametrize("shape", [square(256, 0), (96, 64, 2, 32, 0)], ids=str)
def test_no_tokens_give_no_update_and_gradients_of_zero(shape: tuple) -> None:
    problem = Problem(*shape, alone=True)
    assert all(torch.equal(a.double(), b) for a, b in zip(passes(problem), problem.expected(), strict=True))


def test_programs_shares_are_added_in_the_same_order_each_time() -> None:
    once, again = (passes(Problem(*square(256, 5))) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


@pytest.fixture
def anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule takes the kernel for one that this device can run, as on CUDA."""
    monkeypatch.setenv("CDVFT_ENGINE", "fused")
    monkeypatch.setattr(fused, "supports", lambda *_: True)
    monkeypatch.setattr(native, "supports", lambda *_: False)


class Layer(nn.Module):
    """An adapted linear layer of float32, by "fft"."""

    def __init__(self, factors: Factors) -> None:
        super().__init__()
        self.vectors = nn.ParameterList([*factors.diagonals, *factors.circulants])
        self.register_buffer("weight", torch.eye(256))

    def forward(self, x: Tensor) -> Tensor:
        first, last, c = self.vectors
        return adapted_linear(x, self.weight, None, Factors([first, last], [c], ALPHA), "fft")


def test_compile_and_export_see_the_operator_and_its_gradients(anywhere: None) -> None:
    problem = Problem(256, 256, 2, None, 2, 3, alone=True)
    (x, grad, factors), (truth, by_x, *by_vectors) = problem.frozen(), problem.expected()
    layer = Layer(factors)
    graph = torch.export.export(layer, (x,)).graph
    assert [node.target for node in graph.nodes].count(torch.ops.cdvft.update.default) == 1
    torch._dynamo.reset()
    x.requires_grad_()
    out = torch.compile(layer, backend="aot_eager", fullgraph=True)(x)
    near([out - x], [truth], 1e-6)
    found = torch.autograd.grad(out, [x, *layer.vectors], grad)
    near(found, [by_x + grad, *by_vectors], 1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("shape", "alone"),
    [
        (square(256, 5), False),
        ((96, 64, 2, 32, 5), False),
        ((256, 256, 3, None, 3), True),  # more circulants follow one another
        ((256, 256, 4, None, 3), False),
    ],
    ids=str,
)
def test_a_layer_is_served_by_the_kernel(anywhere, shape: tuple, alone: bool, dtype: torch.dtype) -> None:
    problem = Problem(*shape, dtype=dtype, alone=alone)
    x, _, factors = problem.frozen()
    assert select(x, *factors[:2], separate=dtype != torch.float32, backend="fft").engine == "fused"
    out = problem.run("fft")
    assert out.dtype == (torch.float32 if alone else dtype)
    near(problem.found(out), problem.expected(), 1e-6 if dtype == torch.float32 else 4e-3)


def test_a_mode_that_watches_sees_one_operator_with_its_gradients(anywhere: None) -> None:
    x, _, factors = Problem(64, 32, 2, 32, 3).frozen()
    with Watch() as seen:
        watched = [fused.update(x, factors), cd_linear(x, *factors, "fft")]
    assert all(torch.equal(one, fused.update(x, factors)) for one in watched)
    assert seen.names.count("cdvft.update") == 2
    (stage,) = fused.stages(factors)
    torch.library.opcheck(
        torch.ops.cdvft.update.default, (x, *stage), test_utils=("test_schema", "test_faketensor")
    )
