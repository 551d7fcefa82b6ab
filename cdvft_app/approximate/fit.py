"""What every fit of a matrix returns, and what a matrix must be like to be fitted."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LARGEST = 256
"""Largest side of a target: what one core still fits while somebody watches."""

SMALLEST_ENTRY, LARGEST_ENTRY = 1e-50, 1e50
"""Sizes of a target's largest entry between which squares, and products of squares, stay inside float64."""


@dataclass(frozen=True, eq=False)
class Fit:
    """An approximation of a target matrix by one family of structured matrices.

    family: circulant_diagonal, diagonal_blocks, low_rank, fourier, fourierft or block_circulant.
    size: the family's own knob: m, the rank r, the number of entries, or the block size p.
    parameters: numbers that have to be stored, positions included where they were chosen for the target.
    error: relative Frobenius error ||target - dense|| / ||target||.
    factors: the family's vectors or matrices, described by the function that made the fit.
    dense: the approximation, of the target's shape.
    finished: False while an iterative fit may still improve.
    restarts: of a finished search, the errors at which its random starts ended, ascending: how far one may
        trust that there is no better fit. Empty where the best fit has a closed form.
    """

    family: str
    size: int
    parameters: int
    error: float
    factors: tuple[Tensor, ...]
    dense: Tensor
    finished: bool = True
    restarts: tuple[float, ...] = ()


def relative_error(target: Tensor, approximation: Tensor) -> float:
    """||target - approximation||_F / ||target||_F, both (d_out, d_in)."""
    return float(torch.linalg.matrix_norm(target - approximation) / torch.linalg.matrix_norm(target))


def checked_target(target: Tensor) -> Tensor:
    """Return the target in float64, once it is known to be a matrix that can be fitted.

    Raises:
        ValueError: if it is not a real, finite, non-zero matrix with sides from 1 to 256, or if its largest
            entry lies outside 1e-50 ... 1e50, where squares and their products leave float64.
    """
    if target.dim() != 2 or not 1 <= min(target.shape) <= max(target.shape) <= LARGEST:
        raise ValueError(
            f"The target has shape {tuple(target.shape)}, but a matrix with sides from 1 to {LARGEST} is "
            "needed. Cut a part out of it or shrink it."
        )
    if target.is_complex():
        raise ValueError(
            "The target is complex, but the factors are real. Give its real part or its modulus."
        )
    target = target.detach().to(device="cpu", dtype=torch.float64)
    if not bool(torch.isfinite(target).all()):
        raise ValueError("The target holds NaN or infinite entries. Replace them by numbers first.")
    if not bool(target.any()):
        raise ValueError(
            "The target is zero everywhere, so no relative error exists. Give a non-zero matrix."
        )
    largest = float(target.abs().max())
    if not SMALLEST_ENTRY <= largest <= LARGEST_ENTRY:
        raise ValueError(
            f"The target's largest entry is {largest:.3g} in size, but its squares are needed in float64. "
            f"Scale it to a size from {SMALLEST_ENTRY:g} to {LARGEST_ENTRY:g}: relative errors stay the same."
        )
    return target
