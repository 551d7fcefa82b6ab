"""Launches of the dense update's kernels, for one circulant (q1, q2, p): one forward, two for the gradients.

They need no transforms, and so take every p, blocks and padded shapes among them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cdvft.circulant import Factors
from cdvft.kernels import fused
from cdvft.private_names import is_watched

TILE = (32, 64)
"""Rows and columns that a program merges: of a weight stored by columns, as Conv1D does, 64 bytes of each."""
STEP, PIECE = 8, 64
"""Rows and columns of which a program sums the gradients at once: 4 neighbours a lane, whose windows of c and
of the first diagonal fall on half of the 32 banks of the cache."""
PROGRAMS = 1024
"""About as many as an H100 holds at once; so strips of rows are the longer, the larger the matrix."""
SHORTEST, LONGEST = 16, 128
"""Rows of a strip: for each of its columns it writes 8 bytes of partial sums."""
SUMMED = (32, 32)
"""Partial sums and columns that are added at once."""
WARPS = 4


def supports(factors: Factors, dtype: torch.dtype) -> bool:
    """Return whether the kernels can take them, and products in this dtype.

    One circulant and float32 vectors, on a CUDA device of compute capability 8.0 or later, with Triton; and
    not while a dispatch mode (a FLOP counter, fake tensors) is active, which would not see them.
    """
    c = factors.circulants[0]
    return (
        len(factors.circulants) == 1
        and c.device.type == "cuda"
        and c.dtype == torch.float32
        and dtype in fused.DTYPES
        and fused.AVAILABLE
        and not is_watched()
        and fused.has_tensor_cores(c.device)
    )


def merged_weight(weight: Tensor | None, factors: Factors, dtype: torch.dtype) -> Tensor:
    """W + alpha diag(last) circ(c) diag(first), or without a weight the update alone, rounded once.

    Args:
        weight: (d_out, d_in), of any strides: float32, bfloat16 or float16
        factors: m = 2, float32, where `supports`
        dtype: of the result: float32, bfloat16 or float16

    Returns:
        (d_out, d_in)
    """
    from cdvft.kernels.fused.dense_kernels import merge_kernel
    from cdvft.kernels.fused.operators import launch

    first, c, last = _vectors(factors)
    d_out, d_in, (_, q2, p) = len(last), len(first), c.shape
    merged = first.new_empty(d_out, d_in, dtype=dtype)
    rows, columns = TILE
    added = merged if weight is None else weight
    with torch.cuda.device_of(first):  # Triton launches on the current one
        launch(
            merge_kernel, (-(-d_out // rows), -(-d_in // columns)), WARPS,
            merged, added, first, c, last, factors.alpha, d_out, d_in, q2, p, *added.stride(),
            ADD=weight is not None, ROWS=rows, COLUMNS=columns,
        )  # fmt: skip
    return merged


def gradients(grad: Tensor, factors: Factors) -> tuple[list[Tensor], list[Tensor]]:
    """Gradients by diagonals and circulants given G, that by W + alpha dW.

    g_last[i] = alpha sum_j G_ij C_ij first_j, g_first[j] = alpha sum_i last_i G_ij C_ij, and by c, in each
    block, g_c[k] = alpha sum last_i G_ij first_j over its entries with (i - j) mod p = k, where C = circ(c).
    In float32; the partial sums take 4 n (d_in + q2 p) + 4 d_out q2 p / `PIECE` bytes for n strips of
    `height_of` rows: 0.33 MB at 768, 2.1 MB at 4096.

    Args:
        grad: (d_out, d_in), contiguous: float32, bfloat16 or float16
        factors: m = 2, float32, where `supports`

    Returns:
        by first and last, and by c, (q1, q2, p), float32, the same each time
    """
    from cdvft.kernels.fused.dense_kernels import partial_sums_kernel, sum_kernel
    from cdvft.kernels.fused.operators import launch

    first, c, last = _vectors(factors)
    d_out, d_in, (q1, q2, p) = len(last), len(first), c.shape
    height = height_of(d_out * d_in, p)
    strips, pieces = -(-p // height), -(-q2 * p // PIECE)
    partial_sums = (
        first.new_empty(q1 * strips, d_in),
        first.new_empty(pieces, d_out),
        first.new_empty(q1 * strips, q2 * p),
    )
    by_first, by_last, by_c = (torch.empty_like(t) for t in (first, last, c))
    rows, columns = SUMMED
    with torch.cuda.device_of(first):
        launch(
            partial_sums_kernel, (q1 * strips, pieces), WARPS,
            *partial_sums, grad, first, c, last, d_out, d_in, q2, p, height, strips,
            ROWS=min(STEP, 1 << (p - 1).bit_length()), COLUMNS=PIECE,
        )  # fmt: skip
        launch(
            sum_kernel, (2 + q1, -(-max(d_out, q2 * p) // columns)), WARPS,
            by_first, by_last, by_c, *partial_sums, factors.alpha, d_out, d_in, q2 * p, q1 * strips, pieces,
            strips, ROWS=rows, COLUMNS=columns,
        )  # fmt: skip
    return [by_first, by_last], [by_c]


def height_of(entries: int, p: int) -> int:
    """Return rows of a strip, which lies within a block, in a matrix of so many entries."""
    wanted = entries // (PIECE * PROGRAMS) // SHORTEST * SHORTEST
    return min(p, max(SHORTEST, min(LONGEST, wanted)))


def _vectors(factors: Factors) -> tuple[Tensor, Tensor, Tensor]:
    """first, c, last, contiguous."""
    (first, last), (c,) = factors.diagonals, factors.circulants
    return first.contiguous(), c.contiguous(), last.contiguous()
