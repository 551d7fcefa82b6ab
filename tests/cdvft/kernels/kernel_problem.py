"""A layer's inputs in float32 or another dtype, and what the dense product makes of them in float64."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cdvft.blocks import vector_shapes
from cdvft.circulant import Factors, cd_product
from cdvft.kernels import adapted_linear, cd_linear, cd_linear_reference

ALPHA = -0.7
TOLERANCE = 1e-6
DENSE = 1024
"""Updates alone are checked against the dense matrix up to this width, wider ones by float64's transforms."""


class Problem:
    """Random tensors of a layer, or of its update alone: of the dtype under test, and the same in float64.

    Vectors have float32 at least, as a layer's. Input and gradient are multiplied by `size`.
    """

    def __init__(
        self, d_out: int, d_in: int, m: int, p: int | None, *batch: int,
        dtype: torch.dtype = torch.float32, alone: bool = False, size: float | Tensor = 1.0,
    ) -> None:  # fmt: skip
        generator = torch.Generator().manual_seed(0)

        def random(*shape: int, scale: float | Tensor = 1.0, of: torch.dtype = dtype) -> Tensor:
            drawn = torch.randn(*shape, dtype=torch.float64, generator=generator)
            return (drawn * scale).to(of).double()

        wide = dtype if dtype == torch.float64 else torch.float32
        of_diagonals, of_circulants = vector_shapes(d_out, d_in, m, p)
        diagonals = [random(*shape, of=wide) for shape in of_diagonals]
        circulants = [random(*b, scale=(b[1] * b[2]) ** -0.5, of=wide) for b in of_circulants]
        self.exact = [t.requires_grad_() for t in (random(*batch, d_in, scale=size), *diagonals, *circulants)]
        first, *vectors = (t.detach() for t in self.exact)
        self.ours = [t.requires_grad_() for t in (first.to(dtype), *(v.to(wide) for v in vectors))]
        self.weight, self.bias = random(d_out, d_in, scale=d_in**-0.5), random(d_out)
        self.alpha = ALPHA
        self.grad, self.m, self.dtype, self.alone = random(*batch, d_out, scale=size), m, dtype, alone

    def factors(self, tensors: Sequence[Tensor]) -> Factors:
        return Factors(tensors[1 : self.m + 1], tensors[self.m + 1 :], self.alpha)

    def frozen(self) -> tuple[Tensor, Tensor, Factors]:
        """The input, the gradient of the output and the factors, of which none asks for a gradient."""
        tensors = [t.detach() for t in self.ours]
        return tensors[0], self.grad.to(self.dtype), self.factors(tensors)

    def run(self, backend: Any, tensors: list[Tensor] | None = None) -> Tensor:
        tensors = self.ours if tensors is None else tensors
        if self.alone:
            return cd_linear(tensors[0], *self.factors(tensors), backend)
        weight, bias = self.weight.to(self.dtype), self.bias.to(self.dtype)
        return adapted_linear(tensors[0], weight, bias, self.factors(tensors), backend)

    def truth(self, tensors: list[Tensor] | None = None) -> Tensor:
        tensors = self.exact if tensors is None else tensors
        x, (diagonals, circulants, alpha) = tensors[0], self.factors(tensors)
        if self.alone and x.shape[-1] > DENSE:
            return cd_linear_reference(x, diagonals, circulants, alpha)
        update = alpha * cd_product(diagonals, circulants)
        return x @ update.T if self.alone else x @ (self.weight + update).T + self.bias

    def expected(self) -> list[Tensor]:
        """The output, and the gradients by whatever asks for one."""
        truth = self.truth()
        return [truth, *torch.autograd.grad(truth, [t for t in self.exact if t.requires_grad], self.grad)]

    def without_cancellation(self) -> list[Tensor]:
        """What rounding errors of the smallest shapes are relative to: the same sums of absolute values."""
        positive = copy.copy(self)
        positive.alpha = abs(self.alpha)
        positive.exact = [t.detach().abs().requires_grad_() for t in self.exact]
        positive.weight, positive.bias, positive.grad = self.weight.abs(), self.bias.abs(), self.grad.abs()
        return positive.expected()

    def found(self, out: Tensor) -> list[Tensor]:
        """The output, and the gradients as `expected` has them."""
        leaves = [t for t in self.ours if t.requires_grad]
        return [out, *torch.autograd.grad(out, leaves, self.grad.to(out.dtype))]

    def check(
        self, out: Tensor, scales: list[Tensor] | None = None, expected: list[Tensor] | None = None
    ) -> None:
        expected = expected or self.expected()
        for a, b, scale in zip(self.found(out), expected, scales or expected, strict=True):
            assert a.shape == b.shape
            assert (a.double() - b).norm() <= TOLERANCE * scale.norm()


def far(found: Tensor | None, truth: Tensor) -> float:
    """By how much it is off, relative to the norm."""
    assert found is not None and found.shape == truth.shape
    return float((found.detach().double() - truth.detach()).norm() / truth.detach().norm())


def near(found: Sequence[Tensor | None], truth: Sequence[Tensor], bound: float) -> None:
    off = [far(a, b) for a, b in zip(found, truth, strict=True)]
    assert all(one < bound for one in off), off
