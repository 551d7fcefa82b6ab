"""The kernels on a CUDA or MPS device against the dense product in float64 on the CPU: `make gpu`."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cdvft.blocks import partitions
from cdvft.circulant import Factors, cd_product
from cdvft.kernels import adapted_linear
from cdvft.kernels.rule import BACKENDS

pytestmark = pytest.mark.gpu
ALPHA = 0.5


@pytest.fixture(scope="module")
def device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    pytest.skip("no CUDA or MPS device at hand")


def layer(d_out: int, d_in: int, m: int, p: int | None, tokens: int) -> list[Tensor]:
    """x, the gradient of the output, the weight, diagonals and circulants, in float64."""
    torch.manual_seed(0)
    circulants = [
        torch.randn(part.q1, part.q2, part.p) / (part.q2 * part.p) ** 0.5
        for part in partitions(d_out, d_in, m, p)
    ]
    diagonals = [torch.randn(d_in), *(torch.randn(d_out) for _ in range(m - 1))]
    fixed = [torch.randn(tokens, d_in), torch.randn(tokens, d_out), torch.randn(d_out, d_in) / d_in**0.5]
    return [t.double() for t in (*fixed, *diagonals, *circulants)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "shape",
    [(768, 768, 2, None, 300), (768, 3072, 2, None, 64), (256, 192, 3, 64, 33), (64, 64, 2, 8, 1)],
    ids=str,
)
def test_agrees_with_the_dense_product(
    shape: tuple, backend: str, dtype: torch.dtype, device: torch.device
) -> None:
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
