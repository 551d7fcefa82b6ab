"""The adapted linear layer, by one of three backends with the same result.

"fft" transforms a few tokens at a time, by `native`, or by `chunked` where `native` does not support the
layer; "merged" builds the dense update as scratch; "reference" leaves the same formula to autograd. "auto"
lets `rule` choose.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad as fwAD
from torch.nn import functional as F

from cdvft.circulant import Factors, block_circulant_matmul
from cdvft.kernels import fused, merged
from cdvft.kernels.rule import Backend
from cdvft.kernels.selection import Selection, select


def cd_linear(
    x: Tensor,
    diagonals: Sequence[Tensor],
    circulants: Sequence[Tensor],
    alpha: float,
    backend: Backend = "auto",
) -> Tensor:
    """alpha dW x with dW = diag(a_{2m-1}) circ(c_{2m-2}) ... circ(c_2) diag(a_1).

    The arithmetic is float32, or float64 where an argument is: there is no bfloat16 FFT, and an update a
    thousand times smaller than its weight must survive. Only "merged", and only off the CPU, multiplies
    half-precision inputs in their own dtype, by an update kept apart from the weight. Backward saves x as it
    came, shared with every layer that reads the same x, recomputes the rest, and can be differentiated.

    Args:
        x: (..., d_in)
        diagonals: m vectors in the order in which they are applied: (d_in), then (d_out) each
        circulants: m - 1 tensors (q1, q2, p), the first d_in -> d_out, later ones d_out -> d_out
        alpha: scale of the update
        backend: "auto", "fft", "merged" or "reference"

    Returns:
        (..., d_out), in the dtype of the arithmetic
    """
    return _adapted(x, None, None, Factors(diagonals, circulants, alpha), backend)


def adapted_linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, factors: Factors, backend: Backend | Selection = "auto"
) -> Tensor:
    """(W + alpha dW) x + b in one step: the update is added in place, or to the weight in scratch.

    Half-precision layers start their sum of products from alpha dW x + b, so that everything is rounded once:
    added to an output that is rounded already, most of an update a thousand times smaller would be lost. Two
    steps remain where the weight or bias trains in float32, or dtypes differ.

    Args:
        x: (..., d_in)
        weight: (d_out, d_in)
        bias: (d_out)
        factors: as `cd_linear` takes them
        backend: "auto", "fft", "merged" or "reference"; or what carries it out

    Returns:
        (..., d_out), in the dtype of x if the weight has it too, otherwise in that of the arithmetic
    """
    if x.dtype == weight.dtype in (torch.bfloat16, torch.float16):
        update = _adapted(x, None, None, factors, backend, rounded=True)
        start = update if bias is None else update + bias
        y = torch.addmm(start.to(x.dtype).reshape(-1, len(weight)), x.reshape(-1, x.shape[-1]), weight.T)
        return y.view(start.shape)
    if is_apart(x, weight, bias, factors):
        return F.linear(x, weight, bias) + _adapted(x, None, None, factors, backend)
    return _adapted(x, weight, bias, factors, backend)


def cd_linear_reference(
    x: Tensor, diagonals: Sequence[Tensor], circulants: Sequence[Tensor], alpha: float
) -> Tensor:
    """The slow truth of `cd_linear`: same arguments, same result, every operation left to autograd."""
    return cd_linear(x, diagonals, circulants, alpha, backend="reference")


def _reference(x: Tensor, weight: Tensor | None, bias: Tensor | None, factors: Factors) -> Tensor:
    y = x.to(factors.diagonals[0].dtype) * factors.diagonals[0]
    for c, a in zip(factors.circulants, factors.diagonals[1:], strict=True):
        y = a * block_circulant_matmul(y, c, a.numel())
    update = factors.alpha * y
    return update if weight is None else F.linear(x, weight, bias) + update


def is_apart(x: Tensor, weight: Tensor, bias: Tensor | None, factors: Factors) -> bool:
    """Whether `adapted_linear` applies the update by itself, not within the product with the weight."""
    trains = weight.requires_grad or (bias is not None and bias.requires_grad)
    return trains or not weight.dtype == x.dtype == arithmetic_dtype(x, factors)


def _adapted(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    factors: Factors,
    backend: Backend | Selection,
    *,
    rounded: bool = False,
) -> Tensor:
    """`rounded`: the update may come in the dtype of x, where that is what its engine writes."""
    _check(x, factors)
    dtype = arithmetic_dtype(x, factors)
    diagonals = [a.to(dtype) for a in factors.diagonals]
    circulants = [c.to(dtype) for c in factors.circulants]
    if backend == "reference" or is_transformed():
        vectors = Factors(diagonals, circulants, factors.alpha)
        if torch.compiler.is_compiling() and backend in ("auto", "fft") and fused.supports(x, circulants):
            update = fused.update(x.reshape(-1, x.shape[-1]), vectors).view(x.shape).to(dtype)
            return update if weight is None else F.linear(x, weight, bias) + update
        return _reference(x, weight, bias, vectors)
    selection = (
        backend
        if isinstance(backend, Selection)
        else select(x, diagonals, circulants, apart=weight is None, backend=backend)
    )
    call = _Call(selection, len(diagonals), factors.alpha, rounded)
    tensors = (*diagonals, *circulants)
    given = (t for t in (x, weight, bias, *tensors) if t is not None)
    if torch.is_grad_enabled() and any(t.requires_grad for t in given):
        return _Adapted.apply(x, weight, bias, call, *tensors)
    return _forward(
        x, weight, bias, call, tensors
    )  # entering autograd would cost as much as decoding a token


def _check(x: Tensor, factors: Factors) -> None:
    """Check shapes and devices, since compiled code would read and write out of bounds.

    Raises:
        ValueError: if x is not as wide as the first diagonal is long, or vectors are on another device.
    """
    d_in = factors.diagonals[0].numel()
    if x.dim() == 0 or x.shape[-1] != d_in:
        raise ValueError(f"Got an input of shape {tuple(x.shape)}, but the layer takes (..., {d_in}).")
    for vector in (*factors.diagonals, *factors.circulants):
        if vector.device != x.device:
            raise ValueError(
                f"Got an input on {x.device}, but the adapter's vectors are on {vector.device}. Move both to "
                "one device; vectors on meta hold no values until they are loaded."
            )


def is_transformed() -> bool:
    """Whether torch compiles, traces, vmaps or differentiates forward, which only its own operations can."""
    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or fwAD._current_level >= 0
    )


def arithmetic_dtype(x: Tensor, factors: Factors) -> torch.dtype:
    """float64 where the input or a vector has it, else float32."""
    wide = any(t.dtype == torch.float64 for t in (x, *factors.diagonals, *factors.circulants))
    return torch.float64 if wide else torch.float32


class _Call(NamedTuple):
    """What forward and backward of one call share besides the tensors that autograd saves."""

    selection: Selection
    m: int
    alpha: float
    rounded: bool

    def factors(self, tensors: Sequence[Tensor]) -> Factors:
        return Factors(tensors[: self.m], tensors[self.m :], self.alpha)


def _forward(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, call: _Call, tensors: Sequence[Tensor]
) -> Tensor:
    """W x + b + alpha dW x, without a weight alpha dW x alone; knows nothing of gradients."""
    factors = call.factors(tensors)
    rows, dtype, d_out = x.reshape(-1, x.shape[-1]), tensors[0].dtype, factors.diagonals[-1].numel()
    with _without_autocast(x):
        if call.selection.plan.merged_forward:
            rows = rows.to(_product_dtype(x, dtype))
            matrix = merged.merged_weight(weight, factors)
            y = F.linear(rows, matrix.to(rows.dtype), bias).to(dtype)
        elif weight is None and call.rounded and call.selection.engine == "fused":
            y = fused.update(rows, factors)
        else:
            if weight is None:
                y = rows.new_zeros(len(rows), d_out, dtype=dtype)
            else:
                y = F.linear(rows, weight, bias)
            call.selection.transforms.forward_(y, rows, factors)
    # Not a view for autograd, so that later operations may write into it, as into any layer's output.
    return torch.ops.aten._unsafe_view(y, [*x.shape[:-1], d_out])


class _Adapted(torch.autograd.Function):
    """`_forward` with its gradients."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, call: _Call, *tensors: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x, weight, *tensors)
        ctx.call = call
        return _forward(x, weight, bias, call, tensors)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *tensors = ctx.saved_tensors
        call, factors, needs_x = ctx.call, ctx.call.factors(tensors), ctx.needs_input_grad[0]
        # For double backward, or for gradients of many outputs at once.
        if torch.is_grad_enabled() or torch._C._functorch.is_legacy_batchedtensor(grad):
            needs = (needs_x, *ctx.needs_input_grad[4:])
            first, *others = _differentiable_gradients([x, *tensors], weight, call.alpha, grad, needs)
            return first, None, None, None, *others
        rows, grad_rows, grad_x = x.reshape(-1, x.shape[-1]), grad.reshape(-1, grad.shape[-1]), None
        with _without_autocast(x):
            if call.selection.plan.merged_gradients:
                products = _product_dtype(x, tensors[0].dtype)
                rows, grad_rows = rows.to(products), grad_rows.to(products)
                if needs_x:
                    grad_x = grad_rows @ merged.merged_weight(weight, factors).to(products)
                grads = merged.backward(rows, grad_rows, factors)
            elif weight is None and call.selection.engine == "fused":
                grad_x, grads = fused.gradients(rows, grad_rows, factors, needs_x)
            else:
                if needs_x:
                    grad_x = (
                        rows.new_zeros(rows.shape, dtype=grad.dtype) if weight is None else grad_rows @ weight
                    )
                grads = call.selection.transforms.backward(rows, grad_rows, factors, grad_x)
        grad_x = None if grad_x is None else grad_x.to(x.dtype).view(x.shape)
        return grad_x, None, None, None, *grads[0], *grads[1]


def _product_dtype(x: Tensor, arithmetic: torch.dtype) -> torch.dtype:
    """The dtype of dense products: off the CPU that of x, since GPUs multiply half precision fastest."""
    return arithmetic if x.device.type == "cpu" else x.dtype


def is_autocast_on(kind: str) -> bool:
    """Whether autocast chooses the dtypes of this type of device."""
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def _without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """Autocast off, since every dtype here is chosen deliberately."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if is_autocast_on(kind) else nullcontext()


def _differentiable_gradients(
    inputs: Sequence[Tensor], weight: Tensor | None, alpha: float, grad: Tensor, needs: Sequence[bool]
) -> list[Tensor | None]:
    """Gradients by x and the factors, in that order, as a graph of their own: through the reference."""
    x, *tensors = inputs
    m = len(tensors) // 2 + 1
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        y = _reference(x, weight, None, Factors(tensors[:m], tensors[m:], alpha))
    wanted = [t for t, need in zip(inputs, needs, strict=True) if need]
    found = iter(torch.autograd.grad(y, wanted, grad, create_graph=differentiable))
    return [next(found) if need else None for need in needs]
