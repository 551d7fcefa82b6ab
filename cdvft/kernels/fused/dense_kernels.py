"""The dense update and its gradients, for one circulant: each entry passes memory once, in Triton.

Entry (i, j) of block (a, b) holds c[a, b, (i - j) mod p]. Along a row that is a window of c, along a diagonal
it is one number: its gradient is a sum over the rows' entries j = (i - k) mod p, which along k are
neighbours, too. So programs read their part of the dense gradient twice, by rows and sheared, the second
time from the cache. No program adds to what another writes: partial sums are added afterwards in a fixed
order.
"""

import triton
import triton.language as tl


@triton.jit
def wrapped(k, p):
    """k mod p, where -p <= k < p."""
    return tl.where(k < 0, k + p, k)


@triton.jit
def merge_kernel(
    out, weight, first, c, last, alpha, d_out, d_in, blocks, p, by_row, by_column,
    ADD: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """out = alpha diag(last) circ(c) diag(first), or plus the weight: a program each tile.

    blocks: of c in a row, q2; by_row, by_column: strides of the weight
    """
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = (row < d_out)[:, None] & (column < d_in)[None, :]
    long = row.to(tl.int64)
    block = ((row // p).to(tl.int64) * blocks)[:, None] + (column // p)[None, :]
    k = wrapped((row % p)[:, None] - (column % p)[None, :], p)
    entry = tl.load(c + block * p + k, mask=inside, other=0.0)
    entry *= (tl.load(last + row, mask=row < d_out, other=0.0) * alpha)[:, None]
    entry *= tl.load(first + column, mask=column < d_in, other=0.0)[None, :]
    if ADD:
        at = weight + (long * by_row)[:, None] + (column.to(tl.int64) * by_column)[None, :]
        entry += tl.load(at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + (long * d_in)[:, None] + column[None, :], entry.to(out.dtype.element_ty), mask=inside)


@triton.jit
def partial_sums_kernel(
    by_first, by_last, by_c, grad, first, c, last, d_out, d_in, blocks, p, height, strips,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Partial sums of the gradients by first, last and c, given that by the matrix, per strip and piece.

    A strip is `height` rows within a block, p or a multiple of ROWS, of which there are `strips` one below
    the other; a piece is COLUMNS columns.
    by_first: (all strips, d_in); by_last: (pieces, d_out); by_c: (all strips, q2 p).
    """
    strip, piece = tl.program_id(0), tl.program_id(1)
    top = strip % strips * height
    column = piece * COLUMNS + tl.arange(0, COLUMNS)
    block, place, there, whole = column // p, column % p, column < d_in, column < blocks * p
    own = tl.load(first + column, mask=there, other=0.0)
    circulant = c + (tl.full((), 0, tl.int64) + strip // strips) * blocks * p + block * p
    sum_first = tl.full((ROWS, COLUMNS), 0.0, tl.float32)
    sum_c = tl.full((ROWS, COLUMNS), 0.0, tl.float32)
    for start in tl.range(0, height, ROWS):
        down = start + tl.arange(0, ROWS)
        row = strip // strips * p + top + down
        is_row = (top + down < p) & (row < d_out)
        factor = tl.load(last + row, mask=is_row, other=0.0)
        line = grad + (row.to(tl.int64) * d_in)[:, None]

        inside = is_row[:, None] & there[None, :]
        k = wrapped((top + down)[:, None] - place[None, :], p)
        entry = tl.load(line + column[None, :], mask=inside, other=0.0).to(tl.float32)
        entry *= tl.load(circulant[None, :] + k, mask=inside, other=0.0)
        sum_first += entry * factor[:, None]
        tl.store(by_last + piece * d_out + row, tl.sum(entry * own[None, :], axis=1), mask=is_row)

        sheared = (block * p)[None, :] + wrapped(place[None, :] + down[:, None] - p, p)
        inside = is_row[:, None] & whole[None, :] & (sheared < d_in)
        entry = tl.load(line + sheared, mask=inside, other=0.0).to(tl.float32)
        entry *= tl.load(first + sheared, mask=inside, other=0.0)
        sum_c += entry * factor[:, None]
    far = tl.full((), 0, tl.int64) + strip
    tl.store(by_first + far * d_in + column, tl.sum(sum_first, axis=0), mask=there)
    diagonal = block * p + wrapped(top - place, p)
    tl.store(by_c + far * (blocks * p) + diagonal, tl.sum(sum_c, axis=0), mask=whole)


@triton.jit
def add_partial_sums(out, partial_sums, width, count, scale, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """out = scale times the sum of the rows of partial_sums (count, width), COLUMNS columns a program."""
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    total = tl.full((ROWS, COLUMNS), 0.0, tl.float32)
    for start in tl.range(0, count, ROWS):
        n = start + tl.arange(0, ROWS)
        inside = (n < count)[:, None] & (column < width)[None, :]
        total += tl.load(
            partial_sums + (n.to(tl.int64) * width)[:, None] + column[None, :], mask=inside, other=0.0
        )
    tl.store(out + column, tl.sum(total, axis=0) * scale, mask=column < width)


@triton.jit
def sum_kernel(
    first, last, c, by_first, by_last, by_c, alpha, d_out, d_in, across, all_strips, pieces, strips,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The gradients by first, last and c from `partial_sums_kernel`; those by c by rows of blocks.

    across: q2 p, the width of such a row
    """
    which = tl.program_id(0)
    if which == 0:
        add_partial_sums(first, by_first, d_in, all_strips, alpha, ROWS, COLUMNS)
    elif which == 1:
        add_partial_sums(last, by_last, d_out, pieces, alpha, ROWS, COLUMNS)
    else:
        start = (tl.full((), 0, tl.int64) + which - 2) * across
        add_partial_sums(c + start, by_c + start * strips, across, strips, alpha, ROWS, COLUMNS)
