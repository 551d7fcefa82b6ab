"""Launches for several layers that are given the same tokens: `operators` has them for one.

All layers' updates are two launches, their gradients four (five where `Plan.split`), however many there are.
What is written: each layer's update, and through each layer the gradient by x; of the vectors' gradients as
much as the programs of one layer write.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cdvft.kernels.fused import group_cube
from cdvft.kernels.fused.cube_shape import Cube, shape_for
from cdvft.kernels.fused.device_group import (
    group_gradients_kernel,
    group_signal_kernel,
    group_spectrum_kernel,
    group_update_kernel,
)
from cdvft.kernels.fused.launch import launched, on_its_device
from cdvft.kernels.fused.operators import precision
from cdvft.kernels.fused.plan import Plan
from cdvft.kernels.fused.programs import programs_for, resident
from cdvft.kernels.fused.tables_operator import tables_for
from cdvft.kernels.fused.vectors import Vectors


@on_its_device
def update(x: Tensor, vectors: Vectors, alpha: float, biases: Sequence[Tensor] | None) -> list[Tensor]:
    """Of each layer alpha dW x, plus its bias, in the dtype of x: (tokens, d).

    Args:
        x: (tokens, d), in one piece: float32, bfloat16 or float16
        vectors: of two layers or more, of a width that has a plan
        alpha: scale of every update
        biases: one (d) a layer
    """
    plan = _plan(x)
    grid = _grid(x, vectors, plan)
    if isinstance(plan, Cube):
        return group_cube.update(x, vectors, alpha, biases, precision(x.dtype), grid)
    outs = tuple(torch.empty_like(x) for _ in vectors.lasts)
    if len(x):
        launched(group_update_kernel, plan.warps)[grid](
            outs, x, vectors.firsts, vectors.lasts, tuple(biases or vectors.lasts), _spectra(vectors, plan),
            tables_for(plan, vectors.firsts[0]), alpha, len(x), 0, *plan.geometry, GROUP=plan.group,
            BIAS=biases is not None, PRECISION=precision(x.dtype),
        )  # fmt: skip
    return list(outs)


@on_its_device
def gradients(
    x: Tensor, grads: Sequence[Tensor], vectors: Vectors, alpha: float, needs_x: bool
) -> tuple[Tensor | None, Vectors]:
    """Gradients by x through each layer and by each layer's vectors, given those by the updates.

    Args:
        x, vectors, alpha: as `update` took them
        grads: (tokens, d) a layer, in one piece
        needs_x: False to leave the gradient by x out

    Returns:
        (layers, tokens, d) in the dtype of x, or None; float32
    """
    plan = _plan(x)
    programs, layers = grid = _grid(x, vectors, plan)
    if isinstance(plan, Cube):
        return group_cube.gradients(x, grads, vectors, alpha, needs_x, precision(x.dtype), grid)
    grad_xs = x.new_empty(layers, *x.shape) if needs_x else None
    if not len(x):
        return grad_xs, vectors.zeros()
    like = vectors.firsts[0]
    shares = like.new_empty(layers, programs, 2 * (plan.width + plan.entries))
    spectra, constants = _spectra(vectors, plan), tables_for(plan, like)
    for by_input, by_output in ((True, False), (False, True)) if plan.split else ((True, True),):
        launched(group_gradients_kernel, plan.warps)[grid](
            x if grad_xs is None else grad_xs, shares, x, tuple(grads), vectors.firsts, vectors.lasts,
            spectra, constants, alpha, len(x), 0, *plan.geometry, GROUP=plan.group, RELOAD=plan.reload,
            INPUT=by_input, OUTPUT=by_output, NEEDS_X=needs_x, PRECISION=precision(x.dtype),
        )  # fmt: skip
    sums = shares.sum(1)
    by_first, by_last, by_spectrum = sums.split([plan.width, plan.width, 2 * plan.entries], dim=1)
    by_c = like.new_empty(layers, plan.width)
    launched(group_signal_kernel, plan.warps)[(1, layers)](
        by_c, by_spectrum, constants, sums.shape[1], *plan.geometry, GROUP=plan.group,
        PRECISION=precision(x.dtype),
    )  # fmt: skip
    return grad_xs, Vectors(by_first.unbind(), by_c.unbind(), by_last.unbind())


def _plan(x: Tensor) -> Plan | Cube:
    plan = shape_for(x.shape[1])
    assert plan is not None, "`fused.supports` has been asked"
    return plan


def _grid(x: Tensor, vectors: Vectors, plan: Plan | Cube) -> tuple[int, int]:
    """Programs of each layer, and layers: together as many as run at once."""
    layers = len(vectors.lasts)
    return programs_for(len(x), plan.group, resident(x.device, plan.warps) // layers), layers


def _spectra(vectors: Vectors, plan: Plan) -> Tensor:
    like, layers = vectors.firsts[0], len(vectors.circulants)
    spectra = like.new_empty(layers, 2 * plan.entries)
    launched(group_spectrum_kernel, plan.warps)[(1, layers)](
        spectra, vectors.circulants, tables_for(plan, like), *plan.geometry, GROUP=plan.group
    )
    return spectra
