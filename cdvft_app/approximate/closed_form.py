"""Rivals of circulant-diagonal products: structured matrices whose best fit to a target has a closed form."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

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


def fit_fourierft(target: Tensor, entries: int, seed: int = 0) -> Fit:
    """Return the best values at n random positions for dW = Re IFFT2(E), the form that FourierFT trains.

    E is real, so dW is a sum of cosines and obeys dW[-i, -j] = dW[i, j] (indices modulo the size): the part
    of the target that is odd under this reflection stays out of reach for any n.

    Source: Gao et al., "Parameter-Efficient Fine-Tuning with Discrete Fourier Transform", ICML 2024.

    Args:
        target: (d_out, d_in)

    Returns:
        factors: positions (n, 2) and values (n) of E. Only the values are counted: the positions follow from
        a seed.

    Raises:
        ValueError: if the target cannot be fitted or n is not from 1 to d_out d_in.
    """
    target = checked_target(target)
    _check_size("entries", entries, target.numel())
    places = torch.randperm(target.numel(), generator=Generator().manual_seed(seed))[:entries]
    chosen = torch.zeros(target.numel(), dtype=torch.float64)
    chosen[places] = 1
    # A pair of frequencies makes one cosine: its coefficient falls on the member that was drawn, or half on
    # each. A frequency that is its own partner is counted twice here, so it keeps its coefficient whole.
    drawn = chosen + chosen[_partner(target.shape).flatten()]
    values = 2 * torch.fft.fft2(target).real.flatten() * chosen / drawn.clamp(min=1)
    dense = torch.fft.ifft2(values.reshape(target.shape)).real
    factors = (torch.stack([places // target.shape[1], places % target.shape[1]], dim=1), values[places])
    return Fit("fourierft", entries, entries, relative_error(target, dense), factors, dense)


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


def _partner(shape: torch.Size) -> Tensor:
    """Reading-order index of the frequency (-k, -l) for every (k, l), of the given shape."""
    rows, columns = (-torch.arange(size) % size for size in shape)
    return rows[:, None] * shape[1] + columns


def _check_size(name: str, size: int, largest: int) -> None:
    if not 1 <= size <= largest:
        raise ValueError(f"{name} is {size!r}, but this target allows whole numbers from 1 to {largest}.")
