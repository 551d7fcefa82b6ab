"""Drawn vectors, and the matrices they make."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cdvft.circulant import cd_product, circulant


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def product(a3: Tensor, c: Tensor, a1: Tensor) -> Tensor:
    """diag(a3) circ(c) diag(a1), entry by entry."""
    return a3[:, None] * circulant(c) * a1


def rank(matrix: Tensor) -> int:
    return int(torch.linalg.matrix_rank(matrix))


def built(vectors: Sequence[Tensor] | Tensor) -> Tensor:
    """The product of vectors on diagonals and in circulants, by turns, the first one's diagonal rightmost."""
    return cd_product([*vectors[0::2]], [*vectors[1::2]])


def filled(n: int, m: int = 2) -> int:
    """Dimensions that m diagonals around m - 1 circulants fill: the rank of the map's Jacobian somewhere."""
    jacobian = torch.autograd.functional.jacobian(built, random(2 * m - 1, n))
    return rank(jacobian.reshape(n * n, -1))
