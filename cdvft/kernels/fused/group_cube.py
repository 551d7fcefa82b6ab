"""Launches for several layers of 4096 that are given the same tokens: `group` has them for other widths.

All layers' updates are two launches, their gradients five.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cdvft.kernels.fused.cube_shape import CUBE
from cdvft.kernels.fused.device_group_cube import (
    group_circulant_gradient_kernel,
    group_input_gradients_kernel,
    group_last_gradient_kernel,
    group_signal_kernel,
    group_spectrum_kernel,
    group_update_kernel,
)
from cdvft.kernels.fused.launch import launched
from cdvft.kernels.fused.tables_operator import tables_for
from cdvft.kernels.fused.vectors import Vectors


def update(
    x: Tensor, vectors: Vectors, alpha: float, biases: Sequence[Tensor] | None,
    precision: str, grid: tuple[int, int],
) -> list[Tensor]:  # fmt: skip
    """As `group.update`, by so many programs a layer, and layers."""
    outs = tuple(torch.empty_like(x) for _ in vectors.lasts)
    if len(x):
        launched(group_update_kernel, CUBE.warps)[grid](
            outs, x, vectors.firsts, vectors.lasts, tuple(biases or vectors.lasts), _spectra(vectors),
            tables_for(CUBE, vectors.firsts[0]), alpha, len(x), 0, BIAS=biases is not None,
            PRECISION=precision,
        )  # fmt: skip
    return list(outs)


def gradients(
    x: Tensor, grads: Sequence[Tensor], vectors: Vectors, alpha: float, needs_x: bool,
    precision: str, grid: tuple[int, int],
) -> tuple[Tensor | None, Vectors]:  # fmt: skip
    """As `group.gradients`, by so many programs a layer, and layers."""
    (programs, layers), like = grid, vectors.firsts[0]
    grad_xs = x.new_empty(layers, *x.shape) if needs_x else None
    if not len(x):
        return grad_xs, vectors.zeros()
    by_first, by_last = like.new_empty(2, layers, programs, CUBE.width)
    by_spectrum = like.new_empty(layers, programs, 2, CUBE.width)
    spectra, constants = _spectra(vectors), tables_for(CUBE, like)
    launched(group_input_gradients_kernel, CUBE.warps)[grid](
        x if grad_xs is None else grad_xs, by_first, x, tuple(grads), vectors.firsts, vectors.lasts, spectra,
        constants, alpha, len(x), 0, NEEDS_X=needs_x, PRECISION=precision,
    )  # fmt: skip
    launched(group_last_gradient_kernel, CUBE.warps)[grid](
        by_last, x, tuple(grads), vectors.firsts, spectra, constants, alpha, len(x), 0, PRECISION=precision
    )
    launched(group_circulant_gradient_kernel, CUBE.warps)[grid](
        by_spectrum, x, tuple(grads), vectors.firsts, vectors.lasts, constants, alpha, len(x), 0,
        PRECISION=precision,
    )  # fmt: skip
    by_c = like.new_empty(layers, CUBE.width)
    launched(group_signal_kernel, CUBE.warps)[(1, layers)](
        by_c, by_spectrum.sum(1), constants, PRECISION=precision
    )
    return grad_xs, Vectors(by_first.sum(1).unbind(), by_c.unbind(), by_last.sum(1).unbind())


def _spectra(vectors: Vectors) -> Tensor:
    like, layers = vectors.firsts[0], len(vectors.circulants)
    spectra = like.new_empty(layers, 2, CUBE.width)
    launched(group_spectrum_kernel, CUBE.warps)[(1, layers)](
        spectra, vectors.circulants, tables_for(CUBE, like)
    )
    return spectra
