"""Applying alpha dW to a batch without ever building dW, exactly, saving nothing but the input for backward.

One seam, `cd_linear`; `cd_linear_reference` beside it is the same mathematics left to autograd.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cdvft.circulant import block_circulant_matmul, block_spectrum


def cd_linear(x: Tensor, diagonals: Sequence[Tensor], circulants: Sequence[Tensor], alpha: float) -> Tensor:
    """alpha dW x with dW = diag(a_{2m-1}) circ(c_{2m-2}) ... circ(c_2) diag(a_1), in O(m d log d) a token.

    The arithmetic is float32, or float64 where an argument is: there is no bfloat16 FFT. Backward saves x in
    its own dtype, shared with every layer that reads the same x, and recomputes the rest. It can be
    differentiated again.

    Args:
        x: (..., d_in)
        diagonals: m vectors in the order in which data meets them: (d_in), then (d_out) each
        circulants: m - 1 tensors (q1, q2, p), the first d_in -> d_out, later ones d_out -> d_out
        alpha: scale of the update

    Returns:
        (..., d_out), in the dtype of the arithmetic
    """
    dtype = _arithmetic_dtype(x, *diagonals, *circulants)
    factors = [factor.to(dtype) for factor in (*diagonals, *circulants)]
    out = _CirculantDiagonal.apply(x.reshape(-1, x.shape[-1]), alpha, len(diagonals), *factors)
    return out.reshape(*x.shape[:-1], out.shape[-1])


def cd_linear_reference(
    x: Tensor, diagonals: Sequence[Tensor], circulants: Sequence[Tensor], alpha: float
) -> Tensor:
    """The slow truth of `cd_linear`: same arguments, same result, every operation left to autograd."""
    dtype = _arithmetic_dtype(x, *diagonals, *circulants)
    factors = [factor.to(dtype) for factor in (*diagonals, *circulants)]
    return alpha * _walk(x, factors[: len(diagonals)], factors[len(diagonals) :])[-1]


def _arithmetic_dtype(*tensors: Tensor) -> torch.dtype:
    return torch.float64 if any(t.dtype == torch.float64 for t in tensors) else torch.float32


def _walk(x: Tensor, diagonals: Sequence[Tensor], circulants: Sequence[Tensor]) -> list[Tensor]:
    """What stands after each factor: u_0, y_1, u_1, y_2, ..., with u_j = a_j y_j and y_{j+1} = C_j u_j."""
    steps = [x.to(diagonals[0].dtype) * diagonals[0]]
    for c, a in zip(circulants, diagonals[1:], strict=True):
        y = block_circulant_matmul(steps[-1], c, a.numel())
        steps += [y, a * y]
    return steps


class _CirculantDiagonal(torch.autograd.Function):
    """Forward and backward walk through the factors; x is (tokens, d_in).

    With u = a y, y' = circ(c) u and g_v the gradient of the loss with respect to v, summing over tokens:
    g_a = sum g_u y, g_y = a g_u, g_c = IFFT(sum conj(FFT u) FFT g_y'), g_u = IFFT(conj(FFT c) FFT g_y').
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: float, m: int, *factors: Tensor) -> Tensor:
        ctx.save_for_backward(x, *factors)
        ctx.alpha, ctx.m = alpha, m
        with torch.autocast(x.device.type, enabled=False):
            return alpha * _walk(x, factors[:m], factors[m:])[-1]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, *factors = ctx.saved_tensors
        diagonals, circulants = factors[: ctx.m], factors[ctx.m :]
        grads: list[Tensor] = []  # from the last factor to the first
        with torch.autocast(x.device.type, enabled=False):
            steps = [x.to(grad.dtype), *_walk(x, diagonals, circulants)]  # y_0, u_0, y_1, u_1, ...
            g = ctx.alpha * grad
            for j in reversed(range(ctx.m)):
                grads.append((g * steps[2 * j]).sum(0))
                g = g * diagonals[j]
                if j > 0:
                    g, grad_c = _circulant_backward(g, steps[2 * j - 1], circulants[j - 1])
                    grads.append(grad_c)
        return g.to(x.dtype), None, None, *grads[::-2], *grads[-2::-2]


def _circulant_backward(g: Tensor, u: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of y = C u by u (tokens, d_in) and c (q1, q2, p), given g, that by y (tokens, d_out)."""
    if g.numel() == 0:  # MKL refuses to transform an empty batch
        return torch.zeros_like(u), torch.zeros_like(c)
    q1, q2, p = c.shape
    grad_spectrum = block_spectrum(g, q1, p)
    u_spectrum = torch.einsum("nif,ijf->njf", grad_spectrum, torch.fft.rfft(c, n=p).conj())
    c_spectrum = torch.einsum("nif,njf->ijf", grad_spectrum, block_spectrum(u, q2, p).conj())
    return torch.fft.irfft(u_spectrum, n=p).flatten(-2)[:, : u.shape[-1]], torch.fft.irfft(c_spectrum, n=p)
