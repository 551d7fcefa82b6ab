"""Pairs of tokens between memory and tiles, in Triton: the parts of a complex signal, in R tiles each.

r counts parts of the signal. GROUP signals stand side by side in a tile.
"""

import triton
import triton.language as tl


@triton.jit
def hidden_zero(group, zero):
    """0, in each group of tokens one of its own, for all that the compiler knows.

    Addresses that hold it, and what is loaded from there, are worked out anew for each group: else registers
    would keep all constants from before the loop. And what stands in a branch upon it stays there: else sums
    are put off to the loop's end, for which registers would keep all that is summed.
    """
    return tl.multiple_of(group & zero, 16)


@triton.jit
def groups_of(tokens, GROUP: tl.constexpr):
    """How many groups of tokens there are; each program has one at least.

    Told so, the compiler keeps in registers nothing for a program without any.
    """
    groups = (tokens + 2 * GROUP - 1) // (2 * GROUP)
    tl.assume(tl.program_id(0) < groups)
    return groups


@triton.jit
def in_64_bits(group):
    """For offsets beyond 2^31; in Triton's interpreter a loop counts in numbers that cannot be cast."""
    return tl.full((), 1, tl.int64) * group


@triton.jit
def place(
    r, same,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """Where part r of a signal lies, for each of the signals side by side, and which entries there are.

    same: 0, or `hidden_zero`
    """
    row, column = tl.arange(0, N1)[:, None], tl.arange(0, GROUP * N2)[None, :] % N2 + same
    return r * ROWS * COLUMNS + row * COLUMNS + column, (row < ROWS) & (column < COLUMNS)


@triton.jit
def tokens_of(group, tokens, N2: tl.constexpr, GROUP: tl.constexpr):
    """Of each signal the first token, counted from the group's; whether that and the next are there."""
    lane = tl.arange(0, GROUP * N2)[None, :] // N2
    first = 2 * (group * GROUP + lane)
    return 2 * lane, first < tokens, first + 1 < tokens


@triton.jit
def load_pairs(
    rows, group, tokens, diagonal, scale, same,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr,
    GROUP: tl.constexpr,
):  # fmt: skip
    """Pairs of tokens, each times a diagonal and a scale; zeros for those beyond the last."""
    lane, is_one, is_other = tokens_of(group, tokens, N2, GROUP)
    re, im = (), ()
    for r in tl.static_range(RADIX):
        at, inside = place(r, same, ROWS, COLUMNS, N1, N2, GROUP)
        factor = tl.load(diagonal + at, mask=inside, other=0.0) * scale
        at += lane * (RADIX * ROWS * COLUMNS)
        one = tl.load(rows + at, mask=inside & is_one, other=0.0)
        other = tl.load(rows + RADIX * ROWS * COLUMNS + at, mask=inside & is_other, other=0.0)
        re = re + (one.to(tl.float32) * factor,)
        im = im + (other.to(tl.float32) * factor,)
    return re, im


@triton.jit
def store_pairs(
    rows, re, im, group, tokens, diagonal, scale, bias, same,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr,
    GROUP: tl.constexpr, ADD: tl.constexpr, BIAS: tl.constexpr,
):  # fmt: skip
    """Pairs of tokens, each times a diagonal and a scale, added to what is there, and to a bias, if asked."""
    lane, is_one, is_other = tokens_of(group, tokens, N2, GROUP)
    for r in tl.static_range(RADIX):
        at, inside = place(r, same, ROWS, COLUMNS, N1, N2, GROUP)
        factor = tl.load(diagonal + at, mask=inside, other=0.0) * scale
        one, other = re[r] * factor, im[r] * factor
        if BIAS:
            shift = tl.load(bias + at, mask=inside, other=0.0).to(tl.float32)
            one, other = one + shift, other + shift
        row = rows + lane * (RADIX * ROWS * COLUMNS) + at
        next_row = row + RADIX * ROWS * COLUMNS
        if ADD:
            one += tl.load(row, mask=inside & is_one, other=0.0).to(tl.float32)
            other += tl.load(next_row, mask=inside & is_other, other=0.0).to(tl.float32)
        tl.store(row, one.to(rows.dtype.element_ty), mask=inside & is_one)
        tl.store(next_row, other.to(rows.dtype.element_ty), mask=inside & is_other)


@triton.jit
def add_products(
    sums, rows, re, im, group, tokens, same,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr,
    GROUP: tl.constexpr,
):  # fmt: skip
    """sums + rows * the tiles, entry by entry, over both tokens of each pair."""
    lane, is_one, is_other = tokens_of(group, tokens, N2, GROUP)
    found = ()
    for r in tl.static_range(RADIX):
        at, inside = place(r, same, ROWS, COLUMNS, N1, N2, GROUP)
        at += lane * (RADIX * ROWS * COLUMNS)
        one = tl.load(rows + at, mask=inside & is_one, other=0.0).to(tl.float32)
        other = tl.load(rows + RADIX * ROWS * COLUMNS + at, mask=inside & is_other, other=0.0).to(tl.float32)
        found = found + (sums[r] + one * re[r] + other * im[r],)
    return found


@triton.jit
def over_signals(part, ROWS: tl.constexpr, COLUMNS: tl.constexpr, GROUP: tl.constexpr):
    """The sum of signals side by side, of which there are one or two: ROWS x COLUMNS."""
    if GROUP > 1:
        one, other = tl.split(tl.permute(tl.reshape(part, (ROWS, GROUP, COLUMNS)), (0, 2, 1)))
        part = one + other
    return part
