"""Launches of the kernels, and the same as operators of torch, which compilers and dispatch modes see.

There is one launch forward and three backward (by x and first, by last, by c), however many blocks, besides
torch's operators for the circulants' spectra and the sums of the programs' partial sums.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op

from cdvft.kernels.fused.plan import SIDE, KernelPlan, Plan, orders, plan_for, tables
from cdvft.kernels.fused.transform_kernels import correlate_kernel, product_kernel

PROGRAMS_ELSEWHERE = 3
"""Off CUDA: in Triton's interpreter, whose programs run one after another."""


def launch(kernel: Any, grid: tuple[int, ...], warps: int, *args: Any, **constants: Any) -> None:
    """Run a kernel by programs of so many warps."""
    kernel[grid](*args, **constants, num_warps=warps, num_stages=1)


def update(
    x: Tensor, first: Tensor, c: Tensor, last: Tensor, alpha: float,
    out: Tensor | None = None, bias: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """alpha diag(last) circ(c) diag(first) x, plus a bias, in the dtype of x, or added to `out` in place.

    Args:
        x: (tokens, d_in), contiguous: float32, bfloat16 or float16
        first: (d_in), float32, as c and last
        c: (q1, q2, p)
        last: (d_out)
        alpha: scale of the update
        out: (tokens, d_out), contiguous
        bias: (d_out)

    Returns:
        (tokens, d_out)
    """
    with torch.cuda.device_of(x):  # Triton launches on the current one
        y = x.new_empty(len(x), last.numel()) if out is None else out
        _product(x, first, alpha, spectra(c), None, after=last, out=y, add=out is not None, bias=bias)
        return y


def gradients(
    x: Tensor, grad: Tensor, first: Tensor, c: Tensor, last: Tensor, alpha: float,
    grad_x: Tensor | None, needs_x: bool = True,
) -> tuple[Tensor | None, Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients by x, first, last and c, given that by the update.

    With u = first x, h = alpha last grad, v = circ(c) u and g_u = circ(c)^T h: g_x = first g_u, and sums over
    tokens: g_first = sum x g_u, g_last = alpha sum grad v, g_c = Re IFFT(sum conj(FFT u) FFT h).

    Args:
        x, first, c, last, alpha: as `update` took them
        grad: (tokens, d_out), contiguous
        grad_x: (tokens, d_in), contiguous, to which the gradient by x is added; None for a new tensor
        needs_x: False to leave the gradient by x out

    Returns:
        by x, of the dtype of x, or `grad_x`; by first, last and c, float32
    """
    with torch.cuda.device_of(x):
        add = grad_x is not None
        if grad_x is None and needs_x:
            grad_x = torch.empty_like(x)
        of_c = spectra(c)
        by_first = _product(grad, last, alpha, of_c, x, after=first, out=grad_x, add=add, transposed=True)
        by_last = _product(x, first, alpha, of_c, grad)
        return grad_x, by_first, by_last, _correlate(x, grad, first, c, last, alpha)


def _product(
    rows: Tensor, before: Tensor, alpha: float, of_c: Spectra, others: Tensor | None, *,
    after: Tensor | None = None, out: Tensor | None = None, add: bool = False, bias: Tensor | None = None,
    transposed: bool = False,
) -> Tensor:  # fmt: skip
    """v = C (alpha before * rows), or C^T; writes after * v to `out`, returns the sum of others * v."""
    tiles, plan = of_c
    q1, q2 = tiles.shape[:2]
    outer, inner, steps = (q2, q1, (1, q2)) if transposed else (q1, q2, (q2, 1))
    size = others.shape[1] if others is not None else out.shape[1] if out is not None else 0
    programs = len(rows) if others is None else _programs(rows, plan, outer)
    partial_sums = before.new_empty(programs, outer * plan.width) if others is not None else before
    if programs:
        unused = rows  # for tensors that are not given, which the kernel does not touch
        tensors = (unused if t is None else t for t in (out, partial_sums, others))
        launch(
            product_kernel, (programs, outer), plan.warps, *tensors, rows, before,
            before if after is None else after, before if bias is None else bias, tiles,
            tables(plan, rows.device), alpha, len(rows), rows.shape[1], size, inner, *steps, 0,
            CONJUGATE=transposed, STORE=out is not None, ADD=add, BIAS=bias is not None,
            SUM=others is not None, PLAN=_kernel_plan(plan, rows.dtype),
        )  # fmt: skip
    return partial_sums.sum(0)[:size] if others is not None else partial_sums


def _correlate(x: Tensor, grad: Tensor, first: Tensor, c: Tensor, last: Tensor, alpha: float) -> Tensor:
    """Return the gradient by c."""
    (q1, q2, p), plan = c.shape, _plan(c)
    programs = _programs(x, plan, q1 * q2)
    partial_sums = c.new_empty(programs, q1, q2, plan.parts, 2, plan.tile_columns, SIDE)
    if programs:
        launch(
            correlate_kernel, (programs, q1 * q2), plan.warps, partial_sums, x, grad, first, last,
            tables(plan, c.device), alpha, len(x), x.shape[1], grad.shape[1], q2, 0,
            PLAN=_kernel_plan(plan, x.dtype),
        )  # fmt: skip
    _, _, entry, factor = orders(plan, c.device)
    half = partial_sums.sum(0).view(q1, q2, -1)[:, :, entry] * factor
    return torch.fft.irfft(torch.view_as_complex(half), n=p)


Spectra = tuple[Tensor, Plan]
"""(q1, q2, parts, 2, tile_columns, SIDE), in the order of tiles, and the plan of the transform."""


def spectra(c: Tensor) -> Spectra:
    """FFT(c) / p of each block."""
    plan = _plan(c)
    number, factor, _, _ = orders(plan, c.device)
    half = torch.view_as_real(torch.fft.rfft(c, norm="forward")).flatten(2)
    return half[:, :, number] * factor, plan


def _programs(rows: Tensor, plan: Plan, blocks: int) -> int:
    """Programs among which the tokens of a sum are divided, for each of the blocks."""
    if rows.device.type != "cuda":
        return min(len(rows), PROGRAMS_ELSEWHERE)
    resident = _multiprocessors(rows.device) * plan.resident
    return min(len(rows), max(1, resident // blocks))


@functools.lru_cache
def _multiprocessors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count


@custom_op("cdvft::update", mutates_args=())
def update_operator(x: Tensor, first: Tensor, c: Tensor, last: Tensor, alpha: float) -> Tensor:
    """`update` as an operator of torch, with its gradient."""
    return update(x, first, c, last, alpha)


@custom_op("cdvft::update_gradients", mutates_args=())
def gradients_operator(
    x: Tensor, grad: Tensor, first: Tensor, c: Tensor, last: Tensor, alpha: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`gradients` as an operator of torch, by x, first, last and c."""
    by_x, by_first, by_c, by_last = gradients(x, grad, first, c, last, alpha, None)
    assert by_x is not None
    return by_x, by_first, by_c, by_last


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


def _kernel_plan(plan: Plan, dtype: torch.dtype) -> KernelPlan:
    return KernelPlan(**vars(plan), precision=precision(dtype))


def precision(dtype: torch.dtype) -> str:
    """How the products of the DFT are rounded: "fp16", or for float32 one of Triton's `input_precision`.

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
