"""Numbers and vectors that describe a factor or a weight update."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cdvft.blocks import partition
from cdvft.layer import Factors

LARGEST_SIDE = 1024
"""Largest smaller side of a matrix whose singular values are computed: 0.2 s at 1024 x 1024 on one core."""


class Spectrum(NamedTuple):
    """Eigenvalues of circulants in polar form, for frequencies 0 ... p - 1: modulus and phase in radians."""

    modulus: Tensor
    phase: Tensor


def spectrum(c: Tensor) -> Spectrum:
    """Eigenvalues of circ(c), FFT(c)[k] = sum_j c[j] exp(-2 pi i j k / p), as modulus and phase.

    circ(c) is normal, so the moduli are its singular values as well. For real c, frequencies k and p - k have
    equal moduli and opposite phases.

    Args:
        c: (..., p), first columns

    Returns:
        modulus and phase, (..., p) each
    """
    eigenvalues = torch.fft.fft(c)
    return Spectrum(eigenvalues.abs(), eigenvalues.angle())


def singular_values(matrix: Tensor) -> Tensor:
    """Singular values in descending order, (min(d_out, d_in)); the smaller side may be at most 1024.

    Args:
        matrix: (d_out, d_in)

    Raises:
        ValueError: if the smaller side is over 1024, where this would take from seconds to minutes, or an
            entry is not finite.
    """
    if min(matrix.shape) > LARGEST_SIDE:
        raise ValueError(
            f"The singular values of a {matrix.shape[0]} x {matrix.shape[1]} matrix take too long: one side "
            f"must be at most {LARGEST_SIDE}. Use its norm, shift energy and spectra, or a part of it."
        )
    if not matrix.isfinite().all():
        raise ValueError(
            f"The {matrix.shape[0]} x {matrix.shape[1]} matrix holds NaN or infinity and has no singular "
            "values. Take one of an adapter whose training did not diverge."
        )
    return torch.linalg.svdvals(matrix)


def effective_rank(values: Tensor) -> float:
    """exp(H(p)) with p = sigma / sum(sigma) and the entropy H(p) = -sum p log p; 0 for a zero matrix.

    It is r when r singular values are equal and the others zero, and never more than the rank.

    Source: Roy, Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007.

    Args:
        values: singular values, (r)
    """
    total = values.sum()
    if total == 0:
        return 0.0
    return float(torch.special.entr(values.double() / total.double()).sum().exp())


def norm_ratio(delta: Tensor, weight: Tensor) -> float:
    """||dW||_F / ||W||_F: how much of the frozen weight the update changes."""
    return float(torch.linalg.matrix_norm(delta) / torch.linalg.matrix_norm(weight))


def factor_changes(start: Factors, now: Factors) -> tuple[list[float], list[float]]:
    """How far each diagonal and each circulant moved: root mean square of the change of its entries."""
    pairs = ((start.diagonals, now.diagonals), (start.circulants, now.circulants))
    diagonals, circulants = (
        [float((after - before).square().mean().sqrt()) for before, after in zip(*pair, strict=True)]
        for pair in pairs
    )
    return diagonals, circulants


def shift_energy(matrix: Tensor, block_size: int | None = None) -> Tensor:
    """Energy along the wrapped diagonals of each p x p block: e_k = sum_j block[(j + k) mod p, j]^2.

    Entry k belongs to the shift by k rows, where a circulant holds p times c[k]^2.

    Args:
        matrix: (d_out, d_in)
        block_size: p; None takes the default block of a CDVFT layer of that shape

    Returns:
        (q1, q2, p), which sums to ||matrix||_F^2
    """
    return _wrapped_diagonals(matrix, block_size).square().sum(-1)


def circularity(matrix: Tensor, block_size: int | None = None) -> float:
    """Share of ||matrix||_F^2 that the best block-circulant matrix explains, 0 to 1; 0 for a zero matrix.

    sum over wrapped diagonals of (sum of entries)^2 / (number of entries), over ||matrix||_F^2. It is 1 for
    circulant blocks, and about 1 / p for independent entries of mean zero.

    Args:
        matrix: (d_out, d_in)
        block_size: p; None takes the default block of a CDVFT layer of that shape
    """
    diagonals = _wrapped_diagonals(matrix, block_size)
    energy = float(diagonals.square().sum())
    if energy == 0:
        return 0.0
    counts = _wrapped_diagonals(torch.ones_like(matrix), block_size).sum(-1).clamp(min=1)
    return float((diagonals.sum(-1).square() / counts).sum()) / energy


def _wrapped_diagonals(matrix: Tensor, block_size: int | None) -> Tensor:
    """Entries [(j + k) mod p, j] of each block as (q1, q2, p, p), indexed by block, k and j, zero-padded."""
    d_out, d_in = matrix.shape
    part = partition(d_out, d_in, block_size)
    p = part.p
    padded = F.pad(matrix, (0, part.q2 * p - d_in, 0, part.q1 * p - d_out))
    blocks = padded.reshape(part.q1, p, part.q2, p).transpose(1, 2)
    j = torch.arange(p, device=matrix.device)
    return blocks[:, :, (j + j[:, None]) % p, j]
