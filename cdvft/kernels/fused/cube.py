"""Launches for whole circulants of 4096: `update` and `gradients` as `operators` has them for other widths.

A pass is two launches forward, the circulant's spectrum and the update, and five backward: the spectrum,
three passes, and c's gradient from its spectrum; besides torch's sums over programs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cdvft.kernels.fused.cube_shape import CUBE
from cdvft.kernels.fused.device_cube import (
    circulant_gradient_kernel,
    input_gradients_kernel,
    last_gradient_kernel,
    signal_kernel,
    spectrum_kernel,
    update_kernel,
)
from cdvft.kernels.fused.launch import launched
from cdvft.kernels.fused.tables_operator import tables_for


def update(
    x: Tensor, first: Tensor, c: Tensor, last: Tensor, alpha: float, out: Tensor | None,
    bias: Tensor | None, precision: str, programs: int,
) -> Tensor:  # fmt: skip
    """As `operators.update`, by so many programs."""
    y = torch.empty_like(x) if out is None else out
    if len(x):
        launched(update_kernel, CUBE.warps)[(programs,)](
            y, x, first, last, last if bias is None else bias, _spectrum(c), tables_for(CUBE, c), alpha,
            len(x), 0, ADD=out is not None, BIAS=bias is not None, PRECISION=precision,
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
    by_first, by_last = first.new_empty(2, programs, CUBE.width)
    by_spectrum = first.new_empty(programs, 2, CUBE.width)
    spectrum, constants = _spectrum(c), tables_for(CUBE, c)
    launched(input_gradients_kernel, CUBE.warps)[(programs,)](
        x if grad_x is None else grad_x, by_first, x, grad, first, last, spectrum, constants, alpha,
        len(x), 0, NEEDS_X=needs_x, ADD=add, PRECISION=precision,
    )  # fmt: skip
    launched(last_gradient_kernel, CUBE.warps)[(programs,)](
        by_last, x, grad, first, spectrum, constants, alpha, len(x), 0, PRECISION=precision
    )
    launched(circulant_gradient_kernel, CUBE.warps)[(programs,)](
        by_spectrum, x, grad, first, last, constants, alpha, len(x), 0, PRECISION=precision
    )
    by_c = torch.empty_like(c)
    launched(signal_kernel, CUBE.warps)[(1,)](by_c, by_spectrum.sum(0), constants, PRECISION=precision)
    return grad_x, by_first.sum(0), by_last.sum(0), by_c


def _spectrum(c: Tensor) -> Tensor:
    """FFT(c) / d, as the kernels' tiles lie."""
    spectrum = c.new_empty(2, CUBE.width)
    launched(spectrum_kernel, CUBE.warps)[(1,)](spectrum, c, tables_for(CUBE, c))
    return spectrum
