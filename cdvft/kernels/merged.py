"""The update as a dense matrix: for many tokens, tiny blocks, and devices with fast matrix products.

The matrix is temporary and never saved for backward.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cdvft.circulant import Factors, cd_product, delta_weight
from cdvft.kernels import native

STRIP_ENTRIES = 1 << 16
"""Entries of the dense matrix computed at once: 256 KB of float32, which stay in the second-level cache."""

MIN_STRIP_BLOCK = 16
"""Smallest block size p for which strips are faster."""


def merged_weight(weight: Tensor | None, factors: Factors, dtype: torch.dtype) -> Tensor:
    """W + alpha dW, or alpha dW alone: (d_out, d_in), in the arithmetic of the factors, rounded once."""
    (first, *_, last), circulants, alpha = factors
    if weight is not None and native.supports_merging(weight, factors):
        return native.merged_weight(weight, factors).to(dtype)
    in_strips = len(circulants) == 1 and circulants[0].shape[2] >= MIN_STRIP_BLOCK
    if weight is None or weight.dtype != last.dtype or weight.device.type != "cpu" or not in_strips:
        update = delta_weight(factors)
        return (update if weight is None else weight + update).to(dtype)
    return _added_in_strips(weight, first, circulants[0], alpha * last).to(dtype)


def _added_in_strips(weight: Tensor, first: Tensor, c: Tensor, last: Tensor) -> Tensor:
    """W + diag(last) circ(c) diag(first), a few rows at a time.

    Row r of circ(c) is a window of the reversed and repeated c that moves one place to the left as r grows,
    which among repetitions of length p is p - 1 places to the right: rows are one strided view, no index.
    """
    (d_out, d_in), (q1, q2, p) = weight.shape, c.shape
    rows = max(1, min(p, STRIP_ENTRIES // d_in))
    repeated = c.flip(-1).repeat(1, 1, rows + 1)
    length = repeated.shape[-1]
    merged = torch.empty_like(weight, memory_format=torch.contiguous_format)
    scaled = weight.new_empty(rows, q2, p)
    first = torch.nn.functional.pad(first, (0, q2 * p - d_in)).view(q2, p)
    for i in range(q1):
        for r in range(0, min(p, d_out - i * p), rows):
            n, top = min(rows, p - r, d_out - i * p - r), i * p + r
            strip = repeated.as_strided((n, q2, p), (p - 1, length, 1), i * q2 * length + p - 1 - r)
            torch.mul(strip, first, out=scaled[:n])
            dense = scaled[:n].view(n, q2 * p)[:, :d_in]
            torch.addcmul(weight[top : top + n], dense, last[top : top + n, None], out=merged[top : top + n])
    return merged


def backward(x: Tensor, grad: Tensor, factors: Factors) -> tuple[list[Tensor], list[Tensor]]:
    """Gradients by diagonals and circulants through that of the dense matrix: alpha g^T x, in one product.

    The product is in the dtype of x and grad, the rest in that of the factors.
    """
    grad_update = factors.alpha * (grad.T @ x).to(factors.diagonals[0].dtype)
    leaves = [f.detach().requires_grad_() for f in (*factors.diagonals, *factors.circulants)]
    m = len(factors.diagonals)
    with torch.enable_grad():
        update = cd_product(leaves[:m], leaves[m:])
    grads = torch.autograd.grad(update, leaves, grad_update)
    return list(grads[:m]), list(grads[m:])
