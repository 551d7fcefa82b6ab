"""Alternating least squares for m = 2, for many starts at once.

With two of the three vectors fixed, each entry of the third is the best multiple of one row, wrapped diagonal
or column, so that every step is a division of two sums:

    a_i = sum_j M_ij c_{i-j} b_j / sum_j (c_{i-j} b_j)^2, and c_k and b_j alike.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from cdvft.circulant import circulant
from cdvft_app.approximate.logarithms import wrapped_diagonals


def alternate(target: Tensor, vectors: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Vectors and squared errors after each round, for ever; no error rises.

    Args:
        target: (n, n), float64, of norm 1
        vectors: (r, 3, n), the starts, as (a_1, c_2, a_3)

    Yields:
        (r, 3, n), and (r), which rounding keeps from falling below about 1e-16
    """
    diagonals = wrapped_diagonals(target)
    b, c, _ = vectors.unbind(1)
    while True:
        dense = circulant(c)
        held, squares = target * dense, dense.square()
        a = ratio(_times(held, b), _times(squares, b.square()))
        b = ratio(_times(held.mT, a), _times(squares.mT, a.square()))
        shifted = _windows(a)  # [k, j]: a[(j + k) mod n]
        along = _times(diagonals * shifted, b)
        c = ratio(along, _times(shifted.square(), b.square()))
        yield torch.stack([b, c, a], dim=1), (1 - (along * c).sum(1)).clamp(min=0)


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    return (matrices @ vectors[..., None])[..., 0]


def ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Zero where nothing depends on the entry."""
    known = denominator > torch.finfo(denominator.dtype).tiny
    return torch.where(known, numerator / torch.where(known, denominator, 1.0), 0.0)


def _windows(a: Tensor) -> Tensor:
    n = a.shape[-1]
    return torch.cat([a, a], dim=-1).unfold(-1, n, 1)[:, :n]
