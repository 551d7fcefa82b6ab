"""The kernels on a CUDA or MPS device against the dense product in float64 on the CPU: `make gpu`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cdvft.blocks import vector_shapes
from cdvft.circulant import Factors, cd_product
from cdvft.kernels import adapted_linear, cd_linear
from cdvft.kernels.cost_model import BACKENDS

pytestmark = pytest.mark.gpu
ALPHA = 0.5
SHAPES = [(768, 768, 2, None, 300), (768, 3072, 2, None, 64), (256, 192, 3, 64, 33), (64, 64, 2, 8, 1)]
SHAPES += [(512, 768, 2, 256, 33), (256, 256, 3, 128, 7), (256, 256, 2, None, 1), (896, 896, 2, None, 77)]
SHAPES += [(1024, 1024, 2, None, 5), (4096, 4096, 2, None, 9)]
"""d_out, d_in, m, block size, tokens"""


@pytest.fixture(scope="module")
def device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    pytest.skip("needs a CUDA or MPS device")


@pytest.fixture
def cuda(device: torch.device) -> torch.device:
    if device.type != "cuda":
        pytest.skip("needs CUDA: graphs, torch.compile and autocast are tried there")
    return device


def layer(d_out: int, d_in: int, m: int, p: int | None, tokens: int) -> list[Tensor]:
    """x, the gradient of the output, the weight, diagonals and circulants, in float64."""
    torch.manual_seed(0)
    of_diagonals, of_circulants = vector_shapes(d_out, d_in, m, p)
    circulants = [torch.randn(shape) / (shape[1] * shape[2]) ** 0.5 for shape in of_circulants]
    diagonals = [torch.randn(shape) for shape in of_diagonals]
    fixed = [torch.randn(tokens, d_in), torch.randn(tokens, d_out), torch.randn(d_out, d_in) / d_in**0.5]
    return [t.double() for t in (*fixed, *diagonals, *circulants)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_agrees_with_the_dense_product(shape: tuple, backend: str, dtype: torch.dtype, device) -> None:
    m = shape[2]
    x, grad, weight, *vectors = layer(*shape)
    x, grad, weight = (t.to(dtype).double() for t in (x, grad, weight))
    variables = [x.requires_grad_(), *(v.requires_grad_() for v in vectors)]
    truth = x @ (weight + ALPHA * cd_product(vectors[:m], vectors[m:])).T
    ours = [x.detach().to(device, dtype), *(v.detach().to(device, torch.float32) for v in vectors)]
    ours = [t.requires_grad_() for t in ours]
    factors = Factors(ours[1 : m + 1], ours[m + 1 :], ALPHA)
    out = adapted_linear(ours[0], weight.to(device, dtype), None, factors, backend)
    found = [out, *torch.autograd.grad(out, ours, grad.to(device, out.dtype))]
    expected = [truth, *torch.autograd.grad(truth, variables, grad)]
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    for a, b in zip(found, expected, strict=True):
        assert (a.cpu().double() - b).norm() <= tolerance * b.norm()


@pytest.mark.parametrize("ratio", [0.1, 0.001])
@pytest.mark.parametrize("backend", ["auto", "fft", "merged"])
def test_small_and_large_updates_survive_in_half_precision(backend: str, ratio: float, device) -> None:
    x, _, weight, *vectors = layer(768, 768, 2, None, 512)
    x, weight = (t.bfloat16().double() for t in (x, weight))
    update = cd_product(vectors[:2], vectors[2:])
    alpha = ratio * float(weight.norm() / update.norm())
    moved = [v.to(device, torch.float32) for v in vectors]
    on_device = [t.to(device, torch.bfloat16) for t in (x, weight)]
    out = adapted_linear(*on_device, None, Factors(moved[:2], moved[2:], alpha), backend)
    effect = alpha * x @ update.T
    kept = ((out.cpu().double() - x @ weight.T) * effect).sum() / effect.square().sum()
    assert kept == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("backend", "dtype"), [("fft", torch.bfloat16), ("merged", torch.float32)])
def test_a_captured_graph_gives_what_the_layer_gives(backend: str, dtype: torch.dtype, cuda) -> None:
    x, _, weight, *vectors = (t.to(cuda, torch.float32) for t in layer(768, 768, 2, None, 512))
    x, weight, factors = x.to(dtype), weight.to(dtype), Factors(vectors[:2], vectors[2:], ALPHA)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # compiles what is compiled on first use
        adapted_linear(x, weight, None, factors, backend)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = adapted_linear(x, weight, None, factors, backend)
    x.neg_()
    graph.replay()
    torch.testing.assert_close(out, adapted_linear(x, weight, None, factors, backend))


@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_compiled_it_is_the_same(mode: str, cuda: torch.device) -> None:
    x, grad, weight, *vectors = (t.to(cuda, torch.float32) for t in layer(768, 768, 2, None, 512))
    x, grad, weight = (t.bfloat16() for t in (x, grad, weight))
    leaves = [t.requires_grad_() for t in (x, *vectors)]

    def passes(run: Callable[..., Tensor]) -> list[Tensor]:
        out = run(x, weight, None, Factors(leaves[1:3], leaves[3:], ALPHA), "fft")
        return [out.detach().clone(), *(g.clone() for g in torch.autograd.grad(out, leaves, grad))]

    compiled = torch.compile(adapted_linear, mode=mode, fullgraph=True)
    expected = passes(adapted_linear)
    for _ in range(3):  # of which the first ones warm up, with a graph
        for ours, theirs in zip(passes(compiled), expected, strict=True):
            assert (ours.float() - theirs.float()).norm() <= 2e-2 * theirs.float().norm()


@pytest.mark.parametrize("backend", ["fft", "merged"])
def test_gradients_of_the_kernels_are_the_same_each_time(backend: str, device: torch.device) -> None:
    x, grad, _, *vectors = (t.to(device, torch.float32) for t in layer(768, 768, 2, None, 1000))
    leaves = [t.requires_grad_() for t in (x, *vectors)]
    out = cd_linear(x, leaves[1:3], leaves[3:], ALPHA, backend)
    once, again = (torch.autograd.grad(out, leaves, grad, retain_graph=True) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
