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
from cdvft.kernels.passes import HALF, autocast_dtype, differentiable_gradients, is_batched, without_autocast
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


class Grouped(torch.autograd.Function):
    """Outputs of all layers with their gradients; only the input is kept for backward.

    A layer to whose output no gradient comes has none. One may come in a later pass, without the graph
    retained, for by themselves the layers share none: until then what they need is kept.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, call: _Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        from cdvft.kernels.fused import group

        ctx.save_for_backward(x, *tensors)
        ctx.set_materialize_grads(False)
        ctx.call, ctx.has_begun, ctx.kept = call, False, None
        weights, vectors = tensors[: call.layers], _vectors(tensors[call.layers :])
        rows = x.reshape(-1, x.shape[-1]).contiguous()
        with without_autocast(x):
            outs = group.update(rows, vectors, call.alpha, call.biases or None)
            for y, weight in zip(outs, weights, strict=True):
                y.addmm_(rows, weight.T)
        # Not views for autograd: see `passes.forward`.
        return tuple(torch.ops.aten._unsafe_view(y, x.shape) for y in outs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        layers, asked = ctx.call.layers, [n for n, grad in enumerate(grads) if grad is not None]
        kept = ctx.kept or [(t, t._version) for t in ctx.saved_tensors]
        ctx.has_begun, ctx.kept = True, None if len(asked) == layers else kept
        found: list[Sequence[Tensor | None]] = [(None, None, None)] * layers
        by_x, needs = None, ctx.needs_input_grad
        if asked:
            own = [(kept[1 + n], *kept[1 + layers + 3 * n :][:3]) for n in asked]
            if any(t._version != version for t, version in (kept[0], *(pair for one in own for pair in one))):
                raise RuntimeError(
                    "A tensor needed for gradients has been modified by an in-place operation since an "
                    "earlier backward pass through layers of the same input. Step the optimizer after the "
                    "last such pass."
                )
            weights = [weight for (weight, _), *_ in own]
            factors = [Factors([a, b], [c], ctx.call.alpha) for _, (a, _), (b, _), (c, _) in own]
            given = _Asked(kept[0][0], weights, factors, [grad for grad in grads if grad is not None])
            by_x, by = _gradients(given, needs[0], [needs[2 + layers + 3 * n :][:3] for n in asked])
            for n, of_layer in zip(asked, by, strict=True):
                found[n] = of_layer
        return by_x, None, *(None for _ in range(layers)), *(t for of_layer in found for t in of_layer)


def has_begun(y: Tensor) -> bool:
    """Whether a backward pass has come to what made this output."""
    return getattr(y.grad_fn, "has_begun", False)


class _Asked(NamedTuple):
    """What the gradients of some layers are worked out from."""

    x: Tensor
    weights: list[Tensor]
    factors: list[Factors]
    grads: list[Tensor]


def _gradients(
    asked: _Asked, needs_x: bool, needs: Sequence[Sequence[bool]]
) -> tuple[Tensor | None, Sequence[Sequence[Tensor | None]]]:
    """By x, of all layers together, and of each layer by first, last and c."""
    from cdvft.kernels.fused import group

    x, weights, factors, grads = asked
    if weights[0].dtype in HALF:
        for of_layer in factors:
            survival.expect_step(of_layer)
    if torch.is_grad_enabled() or any(map(is_batched, grads)):
        return _differentiable(asked, needs_x, needs)
    rows, grad_x = x.reshape(-1, x.shape[-1]).contiguous(), None
    grad_rows = [grad.reshape(-1, grad.shape[-1]).contiguous() for grad in grads]
    vectors = _vectors([t for f in factors for t in (*f.diagonals, *f.circulants)])
    with without_autocast(x):
        by_x, by = group.gradients(rows, grad_rows, vectors, factors[0].alpha, needs_x)
        if by_x is not None:
            grad_x = by_x.sum(0)
            for grad, weight in zip(grad_rows, weights, strict=True):
                grad_x.addmm_(grad, weight)
            grad_x = grad_x.view(x.shape)
    by_c = [c.view(f.circulants[0].shape) for c, f in zip(by.circulants, factors, strict=True)]
    return grad_x, list(zip(by.firsts, by.lasts, by_c, strict=True))


def _differentiable(
    asked: _Asked, needs_x: bool, needs: Sequence[Sequence[bool]]
) -> tuple[Tensor | None, Sequence[Sequence[Tensor | None]]]:
    """For double backward, or for gradients of many outputs at once: each layer's by the reference."""
    grad_x: Tensor | None = None
    found = []
    for weight, (diagonals, circulants, alpha), grad, own in zip(*asked[1:], needs, strict=True):
        inputs = [asked.x, *diagonals, *circulants]
        by_x, *by = differentiable_gradients(inputs, weight, alpha, grad, (needs_x, *own))
        found.append(by)
        if by_x is not None:
            grad_x = by_x if grad_x is None else grad_x + by_x
    return grad_x, found


def _vectors(tensors: Sequence[Tensor]) -> Any:
    from cdvft.kernels.fused.vectors import Vectors

    firsts, lasts, circulants = (tuple(t.contiguous() for t in tensors[n::3]) for n in range(3))
    return Vectors(firsts, circulants, lasts)
