"""Inputs of the fused kernels, and what the method in float64 makes of them."""

from __future__ import annotations

import torch
from torch import Tensor

from cdvft.circulant import cd_product
from cdvft.kernels import cd_linear_reference

ALPHA = 0.7  # that of `Problem`, too
DENSE = 1024
"""Widths up to this one are checked against the dense matrix, wider ones against transforms in float64."""
PRODUCTS = 9e-4
"""What products in fp16 are off by at most, values and gradients; as those in tf32."""


def tensors(width: int, tokens: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """x, the gradient of the output, first, c and last, in float64, but of values that `dtype` has."""
    generator = torch.Generator().manual_seed(width + tokens)
    sizes = [(tokens, width), (tokens, width), (width,), (1, 1, width), (width,)]
    found = [torch.randn(*size, generator=generator, dtype=torch.float64) for size in sizes]
    found[3] /= width**0.5
    return [t.to(dtype if i < 2 else torch.float32).double() for i, t in enumerate(found)]


def expected(x: Tensor, grad: Tensor, first: Tensor, c: Tensor, last: Tensor) -> list[Tensor]:
    """The update, and the gradients by x, first, last and c."""
    leaves = [t.clone().requires_grad_() for t in (x, first, last, c)]
    x, first, last, c = leaves
    if c.numel() <= DENSE:
        out = ALPHA * x @ cd_product([first, last], [c]).T
    else:
        out = cd_linear_reference(x, [first, last], [c], ALPHA)
    return [out, *torch.autograd.grad(out, leaves, grad)]


def far(found: Tensor | None, truth: Tensor) -> float:
    assert found is not None
    return float((found.detach().double() - truth.detach()).norm() / truth.detach().norm())
