"""Forward and backward of alpha dW x, alone or added to W x + b, by a given engine and plan."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cdvft.circulant import Factors, block_circulant_matmul
from cdvft.kernels import fused, merge_precision, merged
from cdvft.kernels.engine_choice import Selection
from cdvft.private_names import is_batched, unsafe_view

HALF = (torch.bfloat16, torch.float16)


class Options(NamedTuple):
    """What forward and backward of one call share besides the tensors that autograd saves.

    selection: the engine and plan
    m: number of diagonals among the tensors
    alpha: scale of the update
    separate: whether the update is computed by itself, and the product with the weight added to it
    in_input_dtype: whether the update may be returned in the dtype of x, where its engine writes that
    """

    selection: Selection
    m: int
    alpha: float
    separate: bool
    in_input_dtype: bool

    def factors(self, tensors: Sequence[Tensor]) -> Factors:
        return Factors(tensors[: self.m], tensors[self.m :], self.alpha)


def forward(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, options: Options, tensors: Sequence[Tensor]
) -> Tensor:
    """W x + b + alpha dW x, without a weight b + alpha dW x; not differentiable."""
    factors = options.factors(tensors)
    rows, dtype, d_out = x.reshape(-1, x.shape[-1]), tensors[0].dtype, factors.diagonals[-1].numel()
    with without_autocast(x):
        if weight is not None and options.separate:
            start = forward(x, None, bias, options, tensors).to(x.dtype).view(-1, d_out)
            y = start.addmm_(rows, weight.T)  # in place: torch would copy what the sum starts from
        elif options.selection.plan.merged_forward:
            rows = rows.to(product_dtype(x, dtype))
            matrix = merged.merged_weight(weight, factors, rows.dtype)
            y = F.linear(rows, matrix, None if bias is None else bias.to(rows.dtype))
            y = y if options.in_input_dtype else y.to(dtype)
        elif weight is None and options.in_input_dtype and options.selection.engine == "fused":
            y = fused.update(rows, factors, bias)
        else:
            if weight is None:
                y = rows.new_zeros(len(rows), d_out, dtype=dtype)
                y = y if bias is None else y.add_(bias)
            else:
                y = F.linear(rows, weight, bias)
            options.selection.module.forward_(y, rows, factors)
    return unsafe_view(y, [*x.shape[:-1], d_out])


class AdaptedLinearFunction(torch.autograd.Function):
    """`forward` with its gradients."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, options: Options, *tensors: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x, weight, *tensors)
        ctx.options = options
        return forward(x, weight, bias, options, tensors)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *tensors = ctx.saved_tensors
        options, needs_x = ctx.options, ctx.needs_input_grad[0]
        factors = options.factors(tensors)
        half = weight is not None and weight.dtype in HALF
        if half:
            merge_precision.note_backward(factors)
        # For double backward, or for gradients of many outputs at once.
        if torch.is_grad_enabled() or is_batched(grad):
            needs = (needs_x, *ctx.needs_input_grad[4:])
            first, *others = differentiable_gradients([x, *tensors], weight, options.alpha, grad, needs)
            return first, None, None, None, *others
        rows, grad_rows, grad_x = x.reshape(-1, x.shape[-1]), grad.reshape(-1, grad.shape[-1]), None
        with without_autocast(x):
            if options.selection.plan.merged_gradients:
                # One product, however small the update: rounding the gradient by x loses as much of it.
                products = product_dtype(x, tensors[0].dtype)
                rows, grad_rows = rows.to(products), grad_rows.to(products)
                if needs_x:
                    grad_x = grad_rows @ merged.merged_weight(weight, factors, products)
                grads = merged.backward(rows, grad_rows, factors)
            elif (weight is None or half) and options.selection.engine == "fused":
                grad_x, grads = fused.gradients(rows, grad_rows, factors, needs_x)
                if weight is not None and grad_x is not None:  # one sum, as in forward
                    grad_x.addmm_(grad_rows, weight)
            else:
                if needs_x:
                    grad_x = (
                        rows.new_zeros(rows.shape, dtype=grad.dtype) if weight is None else grad_rows @ weight
                    )
                if half:  # other engines neither read half precision nor add to it
                    grad_rows = grad_rows.to(tensors[0].dtype)
                    grad_x = None if grad_x is None else grad_x.to(tensors[0].dtype)
                grads = options.selection.module.backward(rows, grad_rows, factors, grad_x)
        grad_x = None if grad_x is None else grad_x.to(x.dtype).view(x.shape)
        return grad_x, None, None, None, *grads[0], *grads[1]


def product_dtype(x: Tensor, arithmetic: torch.dtype) -> torch.dtype:
    """Return the dtype of dense products: off the CPU that of x, as GPUs multiply half precision fastest."""
    return arithmetic if x.device.type == "cpu" else x.dtype


def reference(x: Tensor, weight: Tensor | None, bias: Tensor | None, factors: Factors) -> Tensor:
    """W x + b + alpha dW x, or without a weight the update alone, left to autograd."""
    y = x.to(factors.diagonals[0].dtype) * factors.diagonals[0]
    for c, a in zip(factors.circulants, factors.diagonals[1:], strict=True):
        y = a * block_circulant_matmul(y, c, a.numel())
    return add_to_base_output(factors.alpha * y, x, weight, bias)


def add_to_base_output(update: Tensor, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """W x + b + update; in half precision as one sum that starts from update + b, rounded to it."""
    if weight is None:
        return update
    if not x.dtype == weight.dtype in HALF:
        return F.linear(x, weight, bias) + update
    start = update if bias is None else update + bias
    y = torch.addmm(start.to(x.dtype).reshape(-1, len(weight)), x.reshape(-1, x.shape[-1]), weight.T)
    return y.view(start.shape)


def is_autocast_on(kind: str) -> bool:
    """Return whether autocast chooses the dtypes of this type of device."""
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """Return what autocast casts x to; None where it is off, and on the CPU, where updates keep float32."""
    kind = x.device.type
    if kind == "cpu" or not is_autocast_on(kind):
        return None
    return torch.get_autocast_dtype(kind)


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """Autocast off on the device of x, for operations whose dtypes are chosen deliberately."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if is_autocast_on(kind) else nullcontext()


def differentiable_gradients(
    inputs: Sequence[Tensor], weight: Tensor | None, alpha: float, grad: Tensor, needs: Sequence[bool]
) -> list[Tensor | None]:
    """Gradients by x and the factors, in that order, as a graph of their own: through the reference."""
    x, *tensors = inputs
    m = len(tensors) // 2 + 1
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        y = reference(x, weight, None, Factors(tensors[:m], tensors[m:], alpha))
    wanted = [t for t, need in zip(inputs, needs, strict=True) if need]
    found = iter(torch.autograd.grad(y, wanted, grad, create_graph=differentiable))
    return [next(found) if need else None for need in needs]
