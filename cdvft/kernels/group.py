"""Several adapted layers of the same input in few launches, by the fused kernels of a GPU.

Where batches are small, a GPU waits for its next kernel longer than it computes. Query, key and value are
three layers of one input: their updates take one kernel, as do their gradients, and the gradient by the input
is one sum, which autograd would take apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from cdvft.circulant import Factors
from cdvft.kernels import fused, survival
from cdvft.kernels.passes import HALF, autocast_dtype, differentiable_gradients, without_autocast
from cdvft.kernels.rule import WAYS, Backend
from cdvft.kernels.selection import select


class Member(NamedTuple):
    """A layer as `adapted_linear` takes it."""

    weight: Tensor
    bias: Tensor | None
    factors: Factors
    backend: Backend

    def goes_with(self, other: Member) -> bool:
        """Whether both are of one width and alpha, with a bias of one dtype or without."""
        same_alpha = self.factors.alpha == other.factors.alpha
        one, another = (None if bias is None else bias.dtype for bias in (self.bias, other.bias))
        return self.weight.shape == other.weight.shape and same_alpha and one == another


def can_serve(x: Tensor, member: Member) -> bool:
    """Whether `adapted_linears` takes the layer, which would by itself be served by the fused kernels, too.

    That is, on a CUDA device, for a whole circulant, and where neither the rule nor measured times would have
    the update merged into the weight; by what was known in the last pass, for nothing is measured here.
    """
    weight, bias, factors, backend = member
    tensors = (weight, *factors.diagonals, *factors.circulants)
    if is_in_torch_dispatch_mode() or backend == "reference" or any(t.device != x.device for t in tensors):
        return False
    if weight.shape != (factors.diagonals[0].numel(), *x.shape[-1:]):  # the layer by itself says so
        return False
    if dtype := autocast_dtype(x):  # nothing is cast only to be asked about
        x = torch.empty(1, x.shape[-1], dtype=dtype, device=x.device).expand(x.shape[:-1].numel(), -1)
    frozen = not (weight.requires_grad or (bias is not None and bias.requires_grad))
    if not frozen or (weight.dtype != x.dtype and not dtype) or not fused.supports_group(factors):
        return False
    apart = False
    if x.dtype in HALF:
        survives = survival.last_answer(factors)
        if survives is None:
            return False
        apart = not survives
    return select(x, *factors[:2], apart=apart, backend=backend) == ("fused", WAYS["transforms"])


def adapted_linears(x: Tensor, members: Sequence[Member]) -> tuple[Tensor, ...]:
    """(W + alpha dW) x + b of each member, in the dtype that `adapted_linear` would give.

    Args:
        x: (..., d)
        members: two or more that go with one another, for which `can_serve` holds
    """
    x, members = _cast(x, members)
    for member in members:
        if member.weight.dtype in HALF:
            survival.survives(member.weight, member.factors)  # for the next pass: measured now and then
    vectors = [t for m in members for t in (*m.factors.diagonals, *m.factors.circulants)]
    weights = [m.weight for m in members]
    biases = [m.bias.contiguous() for m in members if m.bias is not None]
    call = _Call(len(members), members[0].factors.alpha, biases)
    return Grouped.apply(x, call, *weights, *vectors)


def _cast(x: Tensor, members: Sequence[Member]) -> tuple[Tensor, Sequence[Member]]:
    """As autocast has it."""
    dtype = autocast_dtype(x)
    if dtype is None:
        return x, members
    return x.to(dtype), [
        Member(m.weight.to(dtype), None if m.bias is None else m.bias.to(dtype), m.factors, m.backend)
        for m in members
    ]


class _Call(NamedTuple):
    layers: int
    alpha: float
    biases: list[Tensor]

    def factors(self, vectors: Sequence[Tensor]) -> list[Factors]:
        """Of first, last, c for each layer."""
        return [
            Factors(vectors[n : n + 2], vectors[n + 2 : n + 3], self.alpha)
            for n in range(0, 3 * self.layers, 3)
        ]


class Grouped(torch.autograd.Function):
    """Outputs of all layers with their gradients; only the input is kept for backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, call: _Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        from cdvft.kernels.fused import group

        ctx.save_for_backward(x, *tensors)
        ctx.call = call
        weights, vectors = tensors[: call.layers], _vectors(tensors[call.layers :])
        rows = x.reshape(-1, x.shape[-1]).contiguous()
        with without_autocast(x):
            outs = group.update(rows, vectors, call.alpha, call.biases or None)
            for y, weight in zip(outs, weights, strict=True):
                y.addmm_(rows, weight.T)
        # Not views for autograd: see `passes.forward`.
        return tuple(torch.ops.aten._unsafe_view(y, x.shape) for y in outs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        from cdvft.kernels.fused import group

        (x, *tensors), call, needs_x = ctx.saved_tensors, ctx.call, ctx.needs_input_grad[0]
        weights, vectors = tensors[: call.layers], tensors[call.layers :]
        factors = call.factors(vectors)
        if weights[0].dtype in HALF:
            for of_layer in factors:
                survival.expect_step(of_layer)
        if torch.is_grad_enabled() or any(map(torch._C._functorch.is_legacy_batchedtensor, grads)):
            return _differentiable(ctx, x, weights, factors, grads)
        rows, grad_x = x.reshape(-1, x.shape[-1]).contiguous(), None
        grad_rows = [grad.reshape(-1, grad.shape[-1]).contiguous() for grad in grads]
        with without_autocast(x):
            by_x, by = group.gradients(rows, grad_rows, _vectors(vectors), call.alpha, needs_x)
            if by_x is not None:
                grad_x = by_x.sum(0)
                for grad, weight in zip(grad_rows, weights, strict=True):
                    grad_x.addmm_(grad, weight)
                grad_x = grad_x.view(x.shape)
        by_c = [c.view(f.circulants[0].shape) for c, f in zip(by.circulants, factors, strict=True)]
        by_vectors = [t for of_layer in zip(by.firsts, by.lasts, by_c, strict=True) for t in of_layer]
        return grad_x, None, *(None for _ in weights), *by_vectors


def _vectors(tensors: Sequence[Tensor]) -> Any:
    from cdvft.kernels.fused.vectors import Vectors

    firsts, lasts, circulants = (tuple(t.contiguous() for t in tensors[n::3]) for n in range(3))
    return Vectors(firsts, circulants, lasts)


def _differentiable(
    ctx: Any, x: Tensor, weights: Sequence[Tensor], factors: Sequence[Factors], grads: Sequence[Tensor]
) -> tuple[Tensor | None, ...]:
    """For double backward, or for gradients of many outputs at once: each layer's by the reference."""
    grad_x: Tensor | None = None
    found: list[Tensor | None] = []
    layers = len(weights)
    for n, (weight, (diagonals, circulants, alpha), grad) in enumerate(
        zip(weights, factors, grads, strict=True)
    ):
        own = ctx.needs_input_grad[2 + layers + 3 * n : 5 + layers + 3 * n]
        needs = (ctx.needs_input_grad[0], *own)
        by_x, *by = differentiable_gradients([x, *diagonals, *circulants], weight, alpha, grad, needs)
        found += by
        if by_x is not None:
            grad_x = by_x if grad_x is None else grad_x + by_x
    return grad_x, None, *(None for _ in weights), *found
