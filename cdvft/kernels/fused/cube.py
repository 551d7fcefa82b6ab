"""Launches for whole circulants of 4096: `update` and `gradients` as `operators` has them for other widths.

A pass is one launch forward and three backward, besides small ones of torch for the circulant and for sums
over programs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cdvft.kernels.fused.cube_shape import CUBE, from_tile, tables, to_tile
from cdvft.kernels.fused.device_cube import (
    circulant_gradient_kernel,
    input_gradients_kernel,
    last_gradient_kernel,
    update_kernel,
)
from cdvft.kernels.fused.launch import launched


def update(
    x: Tensor, first: Tensor, c: Tensor, last: Tensor, alpha: float, out: Tensor | None,
    precision: str, programs: int,
) -> Tensor:  # fmt: skip
    """As `operators.update`, by so many programs."""
    y = torch.empty_like(x) if out is None else out
    if len(x):
        launched(update_kernel, CUBE.warps)[(programs,)](
            y, x, first, last, _spectrum(c), tables(x.device), alpha, len(x), 0,
            ADD=out is not None, PRECISION=precision,
        )  # fmt: skip
    return y


def gradients(
    x: Tensor, grad: Tensor, first: Tensor, c: Tensor, last: Tensor, alpha: float,
    grad_x: Tensor | None, needs_x: bool, precision: str, programs: int,
) -> tuple[Tensor | None, Tensor, Tensor, Tensor]:  # fmt: skip
    """As `operators.gradients`, by so many programs."""
    add = grad_x is not None
    if grad_x is None and needs_x:
        grad_x = torch.empty_like(x)
    if not len(x):
        return grad_x, torch.zeros_like(first), torch.zeros_like(last), torch.zeros_like(c)
    by_first, by_last, by_re, by_im = first.new_empty(4, programs, CUBE.width)
    spectrum, constants = _spectrum(c), tables(x.device)
    launched(input_gradients_kernel, CUBE.warps)[(programs,)](
        x if grad_x is None else grad_x, by_first, x, grad, first, last, spectrum, constants, alpha,
        len(x), 0, NEEDS_X=needs_x, ADD=add, PRECISION=precision,
    )  # fmt: skip
    launched(last_gradient_kernel, CUBE.warps)[(programs,)](
        by_last, x, grad, first, spectrum, constants, alpha, len(x), 0, PRECISION=precision
    )
    launched(circulant_gradient_kernel, CUBE.warps)[(programs,)](
        by_re, by_im, x, grad, first, last, constants, alpha, len(x), 0, PRECISION=precision
    )
    by_c = torch.fft.ifft(from_tile(torch.stack([by_re.sum(0), by_im.sum(0)]))).real
    return grad_x, by_first.sum(0), by_last.sum(0), by_c


def _spectrum(c: Tensor) -> Tensor:
    """FFT(c) / d, as the kernels' tiles lie."""
    return to_tile(torch.fft.fft(c) / CUBE.width)
