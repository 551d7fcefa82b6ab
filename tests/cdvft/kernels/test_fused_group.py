"""Layers that are given the same tokens, in one launch: as if each were alone."""

from __future__ import annotations

import platform
from types import ModuleType

import pytest
import torch
from fused_problem import ALPHA, PRODUCTS, expected, far, tensors
from torch import Tensor

from cdvft.circulant import Factors
from cdvft.kernels import fused

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="needs Linux: Triton comes for it alone")


def problem(width: int, tokens: int, layers: int, dtype: torch.dtype) -> tuple[Tensor, list[list[Tensor]]]:
    """x, and of each layer the gradient of its output, first, c, last and bias; in float64."""
    x = tensors(width, tokens, dtype)[0]
    generator = torch.Generator().manual_seed(layers)
    found = []
    for _ in range(layers):
        sizes = [(tokens, width), (width,), (width,), (width,), (width,)]
        own = [torch.randn(*size, generator=generator, dtype=torch.float64) for size in sizes]
        own[2] /= width**0.5
        found.append([t.to(dtype if i in (0, 4) else torch.float32).double() for i, t in enumerate(own)])
    return x, found


# every radix, several groups of tokens a program, masked tiles, two and three layers
@pytest.mark.parametrize(
    ("width", "tokens", "layers"),
    [
        *[(256, 13, 3), (256, 1, 2), (512, 4, 2), (768, 5, 3)],
        *[(1024, 3, 2), (2048, 3, 2), (1536, 3, 2), (384, 9, 3), (4096, 7, 2)],
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_each_layer_has_its_own_update_and_gradients(
    operators: ModuleType, width: int, tokens: int, layers: int, dtype: torch.dtype
) -> None:
    from cdvft.kernels.fused import group
    from cdvft.kernels.fused.vectors import Vectors

    x, own = problem(width, tokens, layers, dtype)
    truth = [expected(x, grad, first, c, last) for grad, first, c, last, _ in own]
    vectors = Vectors(*(tuple(of[n].float() for of in own) for n in (1, 2, 3)))
    biases, grads = [of[4].to(dtype) for of in own], [of[0].to(dtype) for of in own]
    rows = x.to(dtype)
    updates, biased = (group.update(rows, vectors, ALPHA, given) for given in (None, biases))
    by_x, by_vectors = group.gradients(rows, grads, vectors, ALPHA, needs_x=True)
    close, rounded = (1e-6, 1e-6) if dtype == torch.float32 else (PRODUCTS, PRODUCTS + 4e-3)
    assert by_x is not None
    for n, (out, *by) in enumerate(truth):
        assert far(updates[n], out) < rounded
        assert far(biased[n], out + own[n][4]) < rounded
        assert far(by_x[n], by[0]) < rounded
        assert far(by_vectors.firsts[n], by[1]) < close
        assert far(by_vectors.lasts[n], by[2]) < close
        assert far(by_vectors.circulants[n], by[3]) < close


def test_what_registers_would_not_hold_each_layer_does_by_itself() -> None:
    def supported(width: int, *circulant: int) -> bool:
        vectors = [torch.empty(width), torch.empty(width)]
        return fused.supports_group(Factors(vectors, [torch.empty(*circulant)], 1.0))

    assert supported(768, 1, 1, 768) and supported(4096, 1, 1, 4096)
    assert not supported(3072, 1, 1, 3072)
    assert not supported(768, 3, 3, 256), "blocks have no such kernels"
    assert not supported(134, 1, 1, 134), "no tiles hold a transform of a length with a prime factor of 67"
