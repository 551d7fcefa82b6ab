"""A start for m = 2 that is exact where the target is diag(a) circ(c) diag(b), and close where it nearly is.

Entry (i, j) is a_i c_{i-j} b_j, so that its logarithm is a sum of three unknowns, one of each vector, and its
sign a product of three: least squares for the sizes, elimination over GF(2) for the signs. Factors with zeros
leave whole rows, columns or wrapped diagonals of zeros, which say so and take no part.
"""

from __future__ import annotations

import torch
from torch import Tensor

SUPPORT = 1e-12
"""Entries smaller than so many times the largest count as zero."""

GAUGE = 1e-11
"""Eigenvalues of the scaled normal equations, relative to the largest, below which moves change nothing."""


def logarithmic_start(target: Tensor) -> Tensor:
    """Vectors (a_1, c_2, a_3) whose product is the target, if it is such a product.

    Each logarithm weighs as much as its entry squared: noise of one size everywhere moves the logarithm of a
    small entry far more than that of a large one.

    Args:
        target: (n, n), float64, not zero

    Returns:
        (3, n)
    """
    size = target.abs() / target.abs().max()
    weight = torch.where(size > SUPPORT, size.square(), 0.0)
    logs = torch.where(size > SUPPORT, size, 1.0).log()
    gram = _incidence_gram(weight)
    right = _sums(weight * logs)
    diagonal = gram.diagonal()
    scale = torch.where(diagonal > 0, diagonal, 1.0).rsqrt() * (diagonal > 0)
    values, basis = torch.linalg.eigh(gram * scale * scale[:, None])
    inverse = torch.where(values > GAUGE * values[-1], 1 / values, 0.0)
    found = scale * (basis @ (inverse * (basis.T @ (scale * right))))
    vectors = (found.exp() * (diagonal > 0)).reshape(3, -1) * _signs(target)
    vectors[2] *= target.abs().max()
    return vectors


def wrapped_diagonals(matrix: Tensor) -> Tensor:
    """Entry [k, j] is matrix[(j + k) mod n, j], which circ(c) fills with c[k]: (n, n) -> (n, n)."""
    j = torch.arange(len(matrix))
    return matrix[(j + j[:, None]) % len(matrix), j]


def _sums(matrix: Tensor) -> Tensor:
    """Over columns, wrapped diagonals and rows: (3 n)."""
    return torch.cat([matrix.sum(0), wrapped_diagonals(matrix).sum(1), matrix.sum(1)])


def _incidence_gram(weight: Tensor) -> Tensor:
    """A^T diag(weight) A, where row (i, j) of A has ones at a_1[j], c_2[i - j] and a_3[i]: (3 n, 3 n)."""
    n = len(weight)
    i = torch.arange(n)
    of_rows = weight[i[:, None], (i[:, None] - i) % n]  # [i, k]: the entry of row i on wrapped diagonal k
    of_columns = wrapped_diagonals(weight)  # [k, j]
    corner = torch.zeros_like(weight)
    upper = torch.cat(
        [
            torch.cat([corner, of_columns.T, weight.T], dim=1),
            torch.cat([corner, corner, of_rows.T], dim=1),
            torch.cat([corner, corner, corner], dim=1),
        ]
    )
    return upper + upper.T + torch.diag(_sums(weight))


def _signs(target: Tensor) -> Tensor:
    """Signs of the three vectors that give the target's entries theirs, as ones and minus ones: (3, n).

    Equations s_a1[j] + s_c[i - j] + s_a3[i] = (entry negative) over GF(2), from the largest entry to the
    smallest: one that follows from larger ones is dropped, so that noise in small entries decides little.
    An equation is one whole number: the unknowns are its bits from 1 on, the right side is bit 0.
    """
    n = len(target)
    size, negative = target.abs().flatten(), (target < 0).flatten().tolist()
    smallest = SUPPORT * float(size.max())
    independent = 3 * n - (3 if n % 2 == 0 else 2)  # alternating signs in all three change nothing for even n
    pivots: dict[int, int] = {}
    for place in size.argsort(descending=True).tolist():
        if len(pivots) == independent or float(size[place]) <= smallest:
            break
        i, j = divmod(place, n)
        equation = 1 << (1 + j) | 1 << (1 + n + (i - j) % n) | 1 << (1 + 2 * n + i) | int(negative[place])
        while equation > 1:
            highest = equation.bit_length() - 1
            if highest not in pivots:
                pivots[highest] = equation
                break
            equation ^= pivots[highest]
    solution = 0  # unknowns without an equation of their own are 0
    for highest in sorted(pivots):
        rest = pivots[highest] ^ 1 << highest
        if (rest & 1) ^ (((rest & solution) >> 1).bit_count() & 1):
            solution |= 1 << highest
    bits = [solution >> (1 + place) & 1 for place in range(3 * n)]
    return 1.0 - 2.0 * torch.tensor(bits, dtype=target.dtype).reshape(3, n)
