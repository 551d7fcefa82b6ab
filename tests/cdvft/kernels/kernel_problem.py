"""A layer's inputs in float32, and what the dense product makes of them in float64."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from cdvft.blocks import partitions
from cdvft.circulant import Factors, cd_product
from cdvft.kernels import adapted_linear

ALPHA = 0.7
TOLERANCE = 1e-6


class Problem:
    """Random tensors of a layer, in float64 and in the dtype under test."""

    def __init__(
        self, d_out: int, d_in: int, m: int, p: int | None, *batch: int, dtype=torch.float32
    ) -> None:
        generator = torch.Generator().manual_seed(0)

        def random(*shape: int, scale: float = 1.0) -> Tensor:
            return torch.randn(*shape, dtype=torch.float64, generator=generator) * scale

        diagonals = [random(d_in), *(random(d_out) for _ in range(m - 1))]
        parts = partitions(d_out, d_in, m, p)
        circulants = [random(part.q1, part.q2, part.p, scale=(part.q2 * part.p) ** -0.5) for part in parts]
        values = [random(*batch, d_in), *diagonals, *circulants]
        self.m, self.weight, self.bias = m, random(d_out, d_in, scale=d_in**-0.5), random(d_out)
        self.grad, self.dtype = random(*batch, d_out), dtype
        self.exact = [v.clone().requires_grad_() for v in values]
        self.ours = [v.to(dtype).requires_grad_() for v in values]

    def factors(self, tensors: list[Tensor]) -> Factors:
        return Factors(tensors[1 : self.m + 1], tensors[self.m + 1 :], ALPHA)

    def run(self, backend: Any, tensors: list[Tensor] | None = None) -> Tensor:
        tensors = self.ours if tensors is None else tensors
        weight, bias = self.weight.to(self.dtype), self.bias.to(self.dtype)
        return adapted_linear(tensors[0], weight, bias, self.factors(tensors), backend)

    def truth(self) -> Tensor:
        diagonals, circulants, alpha = self.factors(self.exact)
        return self.exact[0] @ (self.weight + alpha * cd_product(diagonals, circulants)).T + self.bias

    def expected(self) -> list[Tensor]:
        truth = self.truth()
        return [truth, *torch.autograd.grad(truth, self.exact, self.grad)]

    def without_cancellation(self) -> list[Tensor]:
        """What rounding errors of the smallest shapes are relative to: the same sums of absolute values."""
        positive = copy.copy(self)
        positive.exact = [t.detach().abs().requires_grad_() for t in self.exact]
        positive.weight, positive.bias, positive.grad = self.weight.abs(), self.bias.abs(), self.grad.abs()
        return positive.expected()

    def check(
        self, out: Tensor, scales: list[Tensor] | None = None, expected: list[Tensor] | None = None
    ) -> None:
        found = [out, *torch.autograd.grad(out, self.ours, self.grad.to(out.dtype))]
        expected = expected or self.expected()
        for a, b, scale in zip(found, expected, scales or expected, strict=True):
            assert a.shape == b.shape
            assert (a.double() - b).norm() <= TOLERANCE * scale.norm()
