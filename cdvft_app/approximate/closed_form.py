"""Structured matrices whose best fit to a target has a closed form: low rank and block circulant."""

from __future__ import annotations

import torch
from torch import Tensor

from cdvft.blocks import Partition, partition
from cdvft.circulant import block_circulant
from cdvft_app.approximate.fit import Fit, checked_target, relative_error


def fit_low_rank(target: Tensor, rank: int) -> Fit:
    """Best approximation B A of rank r, from the singular value decomposition (Eckart and Young, 1936).

    Args:
        target: (d_out, d_in)

    Returns:
        factors: B (d_out, r) and A (r, d_in), counted as LoRA counts them: r (d_out + d_in).

    Raises:
        ValueError: if the target cannot be fitted or r is not from 1 to min(d_out, d_in).
    """
    target = checked_target(target)
    _check_size("rank", rank, min(target.shape))
    u, s, vh = torch.linalg.svd(target, full_matrices=False)
    b, a = u[:, :rank] * s[:rank], vh[:rank]
    dense = b @ a
    return Fit("low_rank", rank, rank * (len(b) + a.shape[1]), relative_error(target, dense), (b, a), dense)


def fit_block_circulant(target: Tensor, block_size: int) -> Fit:
    """Best approximation by p x p circulant blocks: the mean along each wrapped diagonal of each block.

    The wrapped diagonals of a block are orthogonal, so that least squares is averaging. This is the form that
    C3A trains. Where p does not divide a side, the last blocks are cut.

    Args:
        target: (d_out, d_in)

    Returns:
        factors: first columns (q1, q2, p) of the blocks, q1 q2 p parameters.

    Raises:
        ValueError: if the target cannot be fitted or p is not from 1 to max(d_out, d_in).
    """
    target = checked_target(target)
    part = partition(target.shape[0], target.shape[1], block_size)
    d_out, d_in, p = part.d_out, part.d_in, part.p
    place = diagonal_places(part).flatten()
    total = torch.zeros(part.parameters, dtype=torch.float64).index_add_(0, place, target.flatten())
    count = torch.bincount(place, minlength=part.parameters).clamp(min=1)
    c = (total / count).reshape(part.q1, part.q2, p)
    dense = block_circulant(c, d_out, d_in)
    return Fit("block_circulant", p, part.parameters, relative_error(target, dense), (c,), dense)


def diagonal_places(part: Partition) -> Tensor:
    """For each entry (d_out, d_in) the index of its number among the q1 q2 p of the circulant blocks."""
    i, j, p = torch.arange(part.d_out)[:, None], torch.arange(part.d_in), part.p
    return (i // p * part.q2 + j // p) * p + (i - j) % p


def _check_size(name: str, size: int, largest: int) -> None:
    if not 1 <= size <= largest:
        raise ValueError(f"{name} is {size!r}, but this target allows whole numbers from 1 to {largest}.")
