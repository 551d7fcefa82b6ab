"""Circulant blocks between two diagonals, CDVFT's m = 2 with a block size, by alternating least squares.

Entry (i, j) of block (I, J) is a_i c_IJ[(i - j) mod p] b_j. With two of the three fixed, each number of the
third is the best multiple of a row, a block's wrapped diagonal, or a column: a division of two sums.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from cdvft.blocks import partition
from cdvft.circulant import cd_product
from cdvft_app.approximate.circulant_diagonal import ratio
from cdvft_app.approximate.closed_form import diagonal_places
from cdvft_app.approximate.fit import Fit, checked_target, relative_error

RESTARTS, BATCH_ENTRIES = 24, 1 << 19
"""Random starts: no more than matrices of the target's shape with so many entries in all."""

ROUNDS = 100


def fit_diagonal_blocks(target: Tensor, block_size: int, restarts: int = RESTARTS) -> Fit:
    """A good approximation diag(a) C diag(b), C of p x p circulant blocks, cut where p does not divide.

    The search starts at unit diagonals, where the first step is the best C alone, at the best matrix of rank
    one, and at random diagonals: its error is never above `fit_block_circulant`'s with the same p, nor above
    LoRA's with r = 1.

    Args:
        target: (d_out, d_in)
        block_size: p, from 1 to max(d_out, d_in)

    Returns:
        factors: b (d_in), C's first columns (q1, q2, p), and a (d_out): d_in + q1 q2 p + d_out parameters.

    Raises:
        ValueError: if the target cannot be fitted or p is out of range.
    """
    target = checked_target(target)
    d_out, d_in = target.shape
    part = partition(d_out, d_in, block_size)
    place = diagonal_places(part).flatten()
    scaled = target / torch.linalg.matrix_norm(target)
    u, _, vh = torch.linalg.svd(scaled, full_matrices=False)
    random = max(1, min(restarts, BATCH_ENTRIES // target.numel()))
    generator = Generator().manual_seed(0)
    a = torch.cat([u.new_ones(1, part.d_out), u[:, :1].mT, _normal(random, part.d_out, generator)])
    b = torch.cat([u.new_ones(1, part.d_in), vh[:1], _normal(random, part.d_in, generator)])
    for _ in range(ROUNDS):
        c, errors = _blocks(scaled, place, part.parameters, a, b)
        dense = c[:, place].unflatten(1, target.shape)
        held, squares = scaled * dense, dense.square()
        a = ratio((held @ b[..., None])[..., 0], (squares @ b.square()[..., None])[..., 0])
        b = ratio((held.mT @ a[..., None])[..., 0], (squares.mT @ a.square()[..., None])[..., 0])
    c, errors = _blocks(scaled, place, part.parameters, a, b)
    best = int(errors.argmin())
    columns = c[best].unflatten(0, (part.q1, part.q2, part.p)) * torch.linalg.matrix_norm(target)
    product = cd_product([b[best], a[best]], [columns])
    return Fit(
        "diagonal_blocks",
        part.p,
        part.d_in + part.parameters + part.d_out,
        relative_error(target, product),
        (b[best], columns, a[best]),
        product,
        restarts=tuple(sorted(errors[2:].sqrt().tolist())),
    )


def block_sizes(d_out: int, d_in: int, budget: int) -> list[int]:
    """Block sizes between diagonals, the largest first: the longer side in 2, 3, ... within the budget."""
    longest = max(d_out, d_in)
    sizes = dict.fromkeys(-(-longest // parts) for parts in range(2, longest + 1))
    return [p for p in sizes if d_out + d_in + partition(d_out, d_in, p).parameters <= budget]


def _blocks(target: Tensor, place: Tensor, count: int, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return the best first columns (r, q1 q2 p) for each pair of diagonals, and the squared errors (r)."""
    outer = a[:, :, None] * b[:, None, :]
    zeros = a.new_zeros(len(a), count)
    along = zeros.index_add(1, place, (target * outer).flatten(1))
    c = ratio(along, zeros.index_add(1, place, outer.square().flatten(1)))
    return c, (1 - (along * c).sum(1)).clamp(min=0)


def _normal(rows: int, size: int, generator: Generator) -> Tensor:
    return torch.randn(rows, size, dtype=torch.float64, generator=generator)
