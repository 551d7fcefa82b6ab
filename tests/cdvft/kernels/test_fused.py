"""The fused kernels in Triton's interpreter, value and gradients, against float64."""

from __future__ import annotations

import platform

import pytest
import torch
from kernel_problem import ALPHA, Problem, far, near
from torch import Tensor, nn

from cdvft.circulant import Factors
from cdvft.kernels import adapted_linear, fused, native
from cdvft.kernels.engine_choice import select

needs_triton = [
    pytest.mark.skipif(platform.system() != "Linux", reason="needs Linux: Triton comes for it alone"),
    pytest.mark.usefixtures("operators"),
]
FP16_ERROR = 9e-4
"""The most that products in fp16, or tf32, are off by."""
Shape = tuple[int, int, int, int | None, int]


def passes(problem: Problem) -> list[Tensor | None]:
    """The update and the gradients by the kernels themselves."""
    x, grad, factors = problem.frozen()
    by_x, (diagonals, circulants) = fused.gradients(x, grad, factors, needs_x=True)
    return [fused.update(x, factors), by_x, *diagonals, *circulants]


def square(width: int, tokens: int) -> Shape:
    return width, width, 2, None, tokens


# whole and masked tiles, one token, several circulants, padded blocks
QUICK = [square(256, 5), square(256, 1), square(49, 3), (50, 70, 2, 32, 3), (64, 32, 3, 32, 4)]
# every radix and number of columns; wide, tall, in blocks both ways, whole but not square
NIGHTLY = [square(512, 3), square(768, 3), square(1024, 2), square(1280, 2), square(1536, 2)]
NIGHTLY += [square(1792, 2), square(4096, 2), square(1, 2), square(24, 5), square(384, 3), square(640, 2)]
NIGHTLY += [square(1000, 2), (64, 32, 2, 32, 5), (32, 64, 2, 32, 5), (64, 96, 2, 32, 3), (40, 48, 2, 48, 3)]
NIGHTLY += [(512, 1024, 2, 512, 3), (1536, 768, 2, 768, 3)]


class TestKernels:
    pytestmark = needs_triton

    @pytest.mark.parametrize(
        "shape", [*QUICK, *(pytest.param(shape, marks=pytest.mark.nightly) for shape in NIGHTLY)], ids=str
    )
    def test_fused_matches_float64(self, shape: Shape) -> None:
        problem = Problem(*shape, alone=True)
        truth = problem.expected()
        near(passes(problem), truth, 1e-6)
        x, _, factors = problem.frozen()
        bias = torch.linspace(-1, 1, 2 * shape[0])[::2]  # a column of another tensor
        assert far(fused.update(x, factors, bias), truth[0] + bias) < 1e-6

    @pytest.mark.parametrize(
        ("width", "dtype", "size"),
        [
            (256, torch.float16, 1.0),
            (256, torch.bfloat16, 1e-8),
            (256, torch.bfloat16, 1e4),
            *(
                pytest.param(width, torch.bfloat16, size, marks=pytest.mark.nightly)
                for width, size in ((576, 1.0), (2048, 1.0), (1024, 1e-8), (4096, 1e4))
            ),
        ],
    )
    def test_fused_half_precision_error(self, width: int, dtype: torch.dtype, size: float) -> None:
        problem = Problem(*square(width, 2), dtype=dtype, alone=True, size=size)
        found, truth = passes(problem), problem.expected()
        assert [t.dtype for t in found if t is not None] == [dtype] * 2 + [torch.float32] * 3
        near(found[:2], truth[:2], FP16_ERROR + torch.finfo(dtype).eps / 2)
        near(found[2:], truth[2:], FP16_ERROR)

    def test_each_token_has_its_own_scale(self) -> None:
        sizes = torch.tensor([1e-8, 1e4, 1, 1e-6, 1e6, 1e-3, 1e8, 1e-30])[:, None]
        problem = Problem(*square(256, 8), dtype=torch.bfloat16, alone=True, size=sizes)
        for found, truth in zip(passes(problem)[:2], problem.expected()[:2], strict=True):
            near(list(found), list(truth), FP16_ERROR + torch.finfo(torch.bfloat16).eps / 2)

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_zero_and_denormal_rows_stay_finite(self, dtype: torch.dtype) -> None:
        smallest = torch.finfo(dtype).smallest_normal
        sizes = torch.tensor([0, smallest / 4, smallest, 1])[:, None]
        problem = Problem(*square(256, 4), dtype=dtype, alone=True, size=sizes)
        found = passes(problem)
        assert all(bool(t.isfinite().all()) for t in found)
        assert not found[0][0].any() and not found[1][0].any()
        assert far(found[0][3], problem.truth()[3]) < FP16_ERROR + torch.finfo(dtype).eps / 2

    @pytest.mark.parametrize("shape", [square(256, 4), (64, 32, 2, 32, 3)], ids=str)
    def test_fused_adds_in_place(self, shape: Shape) -> None:
        problem = Problem(*shape, alone=True)
        (x, grad, factors), truth = problem.frozen(), problem.expected()
        y, by_x = torch.ones_like(grad), torch.ones_like(x)
        fused.forward_(y, x.mT.contiguous().mT, factors)  # rows that are not contiguous
        near([y - 1], truth[:1], 1e-6)
        for grad_x in (by_x, None):
            diagonals, circulants = fused.backward(x, grad, factors, grad_x)
            near([by_x - 1, *diagonals, *circulants], truth[1:], 1e-6)
        assert fused.gradients(x, grad, factors, needs_x=False)[0] is None


@pytest.fixture
def anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Select the fused kernels on this device, as on CUDA."""
    monkeypatch.setenv("CDVFT_ENGINE", "fused")
    monkeypatch.setattr(fused, "supports", lambda *_: True)
    monkeypatch.setattr(native, "supports", lambda *_: False)


class Layer(nn.Module):
    """An adapted linear layer in float32, by "fft"."""

    def __init__(self, factors: Factors) -> None:
        super().__init__()
        self.vectors = nn.ParameterList([*factors.diagonals, *factors.circulants])
        self.register_buffer("weight", torch.eye(256))

    def forward(self, x: Tensor) -> Tensor:
        first, last, c = self.vectors
        return adapted_linear(x, self.weight, None, Factors([first, last], [c], ALPHA), "fft")


@pytest.mark.usefixtures("anywhere")
class TestLayers:
    pytestmark = needs_triton

    @pytest.mark.nightly
    def test_compile_and_export_see_the_operator(self) -> None:
        problem = Problem(256, 256, 2, None, 2, 3, alone=True)
        (x, grad, factors), (truth, by_x, *by_vectors) = problem.frozen(), problem.expected()
        layer = Layer(factors)
        graph = torch.export.export(layer, (x,)).graph
        assert [node.target for node in graph.nodes].count(torch.ops.cdvft.update.default) == 1
        torch._dynamo.reset()
        x.requires_grad_()
        out = torch.compile(layer, backend="aot_eager", fullgraph=True)(x)
        near([out - x], [truth], 1e-6)
        near(torch.autograd.grad(out, [x, *layer.vectors], grad), [by_x + grad, *by_vectors], 1e-6)

    @pytest.mark.parametrize(
        ("shape", "alone", "dtype"),
        [
            (square(256, 5), False, torch.bfloat16),
            ((96, 64, 2, 32, 5), False, torch.float32),
            ((256, 256, 3, None, 3), True, torch.float32),
            pytest.param((256, 256, 4, None, 3), False, torch.bfloat16, marks=pytest.mark.nightly),
        ],
        ids=str,
    )
    def test_layer_uses_the_kernel(self, shape: Shape, alone: bool, dtype: torch.dtype) -> None:
        problem = Problem(*shape, dtype=dtype, alone=alone)
        x, _, factors = problem.frozen()
        chosen = select(x, *factors[:2], separate=dtype != torch.float32, backend="fft")
        assert chosen.engine == "fused"
        out = problem.run("fft")
        assert out.dtype == (torch.float32 if alone else dtype)
        near(problem.found(out), problem.expected(), 1e-6 if dtype == torch.float32 else 4e-3)
