"""Launches of the kernels, and the same as operators of torch, which torch.compile and export see into.

For whole circulants; `blocks` has the others, and `cube` those of 4096. A pass is two launches forward (the
circulant's spectrum, the update) and four backward (spectrum, gradients, the sum of the programs' shares, c's
gradient from its spectrum; another where `Plan.split`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.library import triton_op

from cdvft.kernels.fused import blocks, cube
from cdvft.kernels.fused.cube_shape import CUBE, Cube
from cdvft.kernels.fused.device import gradients_kernel, signal_kernel, spectrum_kernel, update_kernel
from cdvft.kernels.fused.launch import launched, on_its_device
from cdvft.kernels.fused.plan import Plan, plan_for
from cdvft.kernels.fused.programs import programs_for, resident
from cdvft.kernels.fused.tables_operator import tables_for


@on_its_device
def update(
    x: Tensor, first: Tensor, c: Tensor, last: Tensor, alpha: float,
    out: Tensor | None = None, bias: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """alpha diag(last) circ(c) diag(first) x, plus a bias, in the dtype of x, or added to `out` in place.

    Args:
        x: (tokens, d_in), in one piece: float32, bfloat16 or float16
        first: (d_in), float32, as c and last
        c: (d), one circulant as wide as x and the output; or (q1, q2, p), blocks
        last: (d_out)
        alpha: scale of the update
        out: (tokens, d_out), in one piece
        bias: (d_out)

    Returns:
        (tokens, d_out)
    """
    if c.dim() == 3:
        return blocks.update(_blocks(x, c), x, first, last, alpha, out, bias)
    if c.numel() == CUBE.width:
        return cube.update(x, first, c, last, alpha, out, bias, precision(x.dtype), _programs(x, CUBE))
    plan, add = _plan(c), out is not None
    y = torch.empty_like(x) if out is None else out
    if len(x):
        spectrum, constants = _spectrum(c, plan), tables_for(plan, c)
        launched(update_kernel, plan.warps)[(_programs(x, plan),)](
            y, x, first, last, last if bias is None else bias, spectrum, constants, alpha, len(x), 0,
            *plan.geometry, GROUP=plan.group, ADD=add, BIAS=bias is not None, PRECISION=precision(x.dtype),
        )  # fmt: skip
    return y


@on_its_device
def gradients(
    x: Tensor, grad: Tensor, first: Tensor, c: Tensor, last: Tensor, alpha: float,
    grad_x: Tensor | None, needs_x: bool = True,
) -> tuple[Tensor | None, Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients by x, first, last and c, given that by the update.

    Args:
        x, first, c, last, alpha: as `update` took them
        grad: (tokens, d_out), in one piece
        grad_x: (tokens, d_in), in one piece, to which the gradient by x is added; None for a fresh one
        needs_x: False to leave the gradient by x out

    Returns:
        by x, of the dtype of x, or `grad_x`; by first, last and c, float32
    """
    if c.dim() == 3:
        return blocks.gradients(_blocks(x, c), x, grad, first, last, alpha, grad_x, needs_x)
    if c.numel() == CUBE.width:
        programs = _programs(x, CUBE)
        return cube.gradients(x, grad, first, c, last, alpha, grad_x, needs_x, precision(x.dtype), programs)
    plan, programs, add = _plan(c), _programs(x, _plan(c)), grad_x is not None
    if grad_x is None and needs_x:
        grad_x = torch.empty_like(x)
    if not len(x):
        return grad_x, torch.zeros_like(first), torch.zeros_like(last), torch.zeros_like(c)
    shares = c.new_empty(programs, 2 * (plan.width + plan.entries))
    spectrum, constants, geometry = _spectrum(c, plan), tables_for(plan, c), plan.geometry
    for by_input, by_output in ((True, False), (False, True)) if plan.split else ((True, True),):
        launched(gradients_kernel, plan.warps)[(programs,)](
            x if grad_x is None else grad_x, shares, x, grad, first, last, spectrum, constants, alpha,
            len(x), 0, *geometry, GROUP=plan.group, RELOAD=plan.reload, INPUT=by_input, OUTPUT=by_output,
            NEEDS_X=needs_x, ADD=add, PRECISION=precision(x.dtype),
        )  # fmt: skip
    by_first, by_last, by_spectrum = shares.sum(0).split([plan.width, plan.width, 2 * plan.entries])
    by_c = torch.empty_like(c)
    launched(signal_kernel, plan.warps)[(1,)](
        by_c, by_spectrum, constants, *geometry, GROUP=plan.group, PRECISION=precision(x.dtype)
    )
    return grad_x, by_first, by_last, by_c


@triton_op("cdvft::update", mutates_args=())
def update_operator(x: Tensor, first: Tensor, c: Tensor, last: Tensor, alpha: float) -> Tensor:
    """`update` as an operator of torch, with its gradient."""
    return update(x, first, c, last, alpha)


@triton_op("cdvft::update_gradients", mutates_args=())
def gradients_operator(
    x: Tensor, grad: Tensor, first: Tensor, c: Tensor, last: Tensor, alpha: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`gradients` as an operator of torch, by x, first, last and c."""
    by_x, by_first, by_last, by_c = gradients(x, grad, first, c, last, alpha, None)
    assert by_x is not None
    return by_x, by_first.clone(), by_last.clone(), by_c.clone()  # an operator's outputs share no memory


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.alpha = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, first, c, last = ctx.saved_tensors
    by_x, by_first, by_last, by_c = gradients_operator(x, grad.contiguous(), first, c, last, ctx.alpha)
    return by_x, by_first, by_c, by_last, None


update_operator.register_autograd(_backward, setup_context=_keep)


@update_operator.register_fake
def _update_shapes(x: Tensor, first: Tensor, c: Tensor, last: Tensor, alpha: float) -> Tensor:
    return x.new_empty(len(x), last.numel())


@gradients_operator.register_fake
def _gradient_shapes(
    x: Tensor, grad: Tensor, first: Tensor, c: Tensor, last: Tensor, alpha: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(first), torch.empty_like(last), torch.empty_like(c)


def precision(dtype: torch.dtype) -> str:
    """How the products of the DFT are rounded: "fp16", or in Triton's words for float32.

    For half-precision inputs fp16, with a scale for each signal: off by 5e-4, as by tf32, which takes tensor
    cores twice as long. For float32 torch's own setting holds: three tf32 products, as exact as float32,
    unless `torch.set_float32_matmul_precision` allows one.
    """
    if dtype != torch.float32:
        return "fp16"
    return "tf32x3" if torch.get_float32_matmul_precision() == "highest" else "tf32"


def _plan(c: Tensor) -> Plan:
    plan = plan_for(c.shape[-1])
    if plan is None:
        raise ValueError(f"No tiles hold a transform of length {c.shape[-1]}: ask `supports` first.")
    return plan


def _blocks(x: Tensor, c: Tensor) -> blocks.Blocks:
    plan = _plan(c)
    return blocks.Blocks(c, plan, precision(x.dtype), resident(x.device, plan.warps))


def _spectrum(c: Tensor, plan: Plan) -> Tensor:
    spectrum = c.new_empty(2 * plan.entries)
    launched(spectrum_kernel, plan.warps)[(1,)](
        spectrum, c, tables_for(plan, c), *plan.geometry, GROUP=plan.group
    )
    return spectrum


def _programs(x: Tensor, plan: Plan | Cube) -> int:
    """Programs that loop over the groups of tokens: as many as run at once, or one a group."""
    return programs_for(len(x), plan.group, resident(x.device, plan.warps))
