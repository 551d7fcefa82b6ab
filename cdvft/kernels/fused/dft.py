"""Transforms of tiles as products of matrices, in Triton; `plan` says which, `tables` by what.

Indices: r counts parts of the signal, s those of the spectrum; "re" and "im" are tiles, or tuples of one for
each part. GROUP signals stand side by side in a tile.
"""

import triton
import triton.language as tl


@triton.jit
def _dot(a_re, a_im, b_re, b_im, PRECISION: tl.constexpr):
    re = tl.dot(a_re, b_re, input_precision=PRECISION)
    re = tl.dot(a_im, -b_im, acc=re, input_precision=PRECISION)
    im = tl.dot(a_re, b_im, input_precision=PRECISION)
    im = tl.dot(a_im, b_re, acc=im, input_precision=PRECISION)
    return re, im


@triton.jit
def butterfly(re, im, RADIX: tl.constexpr, SIGN: tl.constexpr):
    """sum over r of x_r exp(SIGN 2 pi i r s / RADIX), for each s."""
    if RADIX == 2:
        re, im = (re[0] + re[1], re[0] - re[1]), (im[0] + im[1], im[0] - im[1])
    if RADIX == 3:
        sum_re, sum_im = re[1] + re[2], im[1] + im[2]
        turned_re = (im[2] - im[1]) * (SIGN * 0.8660254037844386)
        turned_im = (re[1] - re[2]) * (SIGN * 0.8660254037844386)
        rest_re, rest_im = re[0] - 0.5 * sum_re, im[0] - 0.5 * sum_im
        re = (re[0] + sum_re, rest_re + turned_re, rest_re - turned_re)
        im = (im[0] + sum_im, rest_im + turned_im, rest_im - turned_im)
    if RADIX == 4:
        even_re, even_im, odd_re, odd_im = re[0] + re[2], im[0] + im[2], re[1] + re[3], im[1] + im[3]
        less_re, less_im = re[0] - re[2], im[0] - im[2]
        turned_re, turned_im = (im[3] - im[1]) * SIGN, (re[1] - re[3]) * SIGN
        re = (even_re + odd_re, less_re + turned_re, even_re - odd_re, less_re - turned_re)
        im = (even_im + odd_im, less_im + turned_im, even_im - odd_im, less_im - turned_im)
    return re, im


@triton.jit
def entries_of(N1: tl.constexpr, N2: tl.constexpr):
    """Where the entries of a tile lie in a table."""
    return tl.arange(0, N1)[:, None] * N2 + tl.arange(0, N2)[None, :]


@triton.jit
def place(
    r, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr, GROUP: tl.constexpr
):
    """Where part r of a signal lies, for each of the signals side by side, and which entries there are."""
    row, column = tl.arange(0, N1)[:, None], tl.arange(0, GROUP * N2)[None, :] % N2
    return r * ROWS * COLUMNS + row * COLUMNS + column, (row < ROWS) & (column < COLUMNS)


@triton.jit
def tokens_of(group, tokens, N2: tl.constexpr, GROUP: tl.constexpr):
    """Of each signal the first token, counted from the group's; whether that and the next are there."""
    lane = tl.arange(0, GROUP * N2)[None, :] // N2
    first = 2 * (group * GROUP + lane)
    return 2 * lane, first < tokens, first + 1 < tokens


@triton.jit
def _across(re, N1: tl.constexpr, N2: tl.constexpr, GROUP: tl.constexpr):
    """Each signal's N1 x N2 transposed, side by side as before."""
    return tl.reshape(tl.permute(tl.reshape(re, (N1, GROUP, N2)), (2, 1, 0)), (N2, GROUP * N1))


@triton.jit
def _twiddle(tables, s, RADIX: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr, GROUP: tl.constexpr):
    start = tables + 2 * RADIX * N1 * N1 + 2 * s * N1 * N2
    at = tl.arange(0, N1)[:, None] * N2 + tl.arange(0, GROUP * N2)[None, :] % N2
    return tl.load(start + at), tl.load(start + N1 * N2 + at)


@triton.jit
def _right(tables, RADIX: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr):
    start = tables + 2 * RADIX * N1 * (N1 + N2)
    return tl.load(start + entries_of(N2, N2)), tl.load(start + N2 * N2 + entries_of(N2, N2))


@triton.jit
def part_of_spectrum(spectrum, s, N1: tl.constexpr, N2: tl.constexpr, GROUP: tl.constexpr):
    """Part s of the circulant's spectrum, as `transform` leaves those of signals."""
    start = spectrum + 2 * s * N1 * N2
    if GROUP == 1:
        at = entries_of(N1, N2)
    else:
        at = (tl.arange(0, GROUP * N1)[None, :] % N1) * N2 + tl.arange(0, N2)[:, None]
    return tl.load(start + at), tl.load(start + N1 * N2 + at)


@triton.jit
def transform(
    re, im, tables, s,
    RADIX: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr, GROUP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Part s of the spectrum from output s of the butterfly; of several signals side by side transposed."""
    start = tables + 2 * s * N1 * N1
    re, im = _dot(
        tl.load(start + entries_of(N1, N1)), tl.load(start + N1 * N1 + entries_of(N1, N1)), re, im, PRECISION
    )
    turn_re, turn_im = _twiddle(tables, s, RADIX, N1, N2, GROUP)
    re, im = re * turn_re - im * turn_im, re * turn_im + im * turn_re
    right_re, right_im = _right(tables, RADIX, N1, N2)
    if GROUP == 1:
        re, im = _dot(re, im, right_re, right_im, PRECISION)
    else:
        re, im = _across(re, N1, N2, GROUP), _across(im, N1, N2, GROUP)
        re, im = _dot(right_re, right_im, re, im, PRECISION)
    return re, im


@triton.jit
def inverse(
    re, im, tables, s,
    RADIX: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr, GROUP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """The adjoint of `transform`."""
    right_re, right_im = _right(tables, RADIX, N1, N2)
    if GROUP == 1:
        re, im = _dot(re, im, right_re, -right_im, PRECISION)
    else:
        re, im = _dot(right_re, -right_im, re, im, PRECISION)
        re, im = _across(re, N2, N1, GROUP), _across(im, N2, N1, GROUP)
    turn_re, turn_im = _twiddle(tables, s, RADIX, N1, N2, GROUP)
    re, im = re * turn_re + im * turn_im, im * turn_re - re * turn_im
    start = tables + 2 * s * N1 * N1
    across = tl.arange(0, N1)[None, :] * N1 + tl.arange(0, N1)[:, None]
    return _dot(tl.load(start + across), -tl.load(start + N1 * N1 + across), re, im, PRECISION)


@triton.jit
def load_pairs(
    rows, group, tokens, diagonal, scale,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr,
    GROUP: tl.constexpr,
):  # fmt: skip
    """Pairs of tokens, each times a diagonal and a scale; zeros for those beyond the last."""
    lane, is_one, is_other = tokens_of(group, tokens, N2, GROUP)
    re, im = (), ()
    for r in tl.static_range(RADIX):
        at, inside = place(r, ROWS, COLUMNS, N1, N2, GROUP)
        factor = tl.load(diagonal + at, mask=inside, other=0.0) * scale
        at += lane * (RADIX * ROWS * COLUMNS)
        one = tl.load(rows + at, mask=inside & is_one, other=0.0)
        other = tl.load(rows + RADIX * ROWS * COLUMNS + at, mask=inside & is_other, other=0.0)
        re = re + (one.to(tl.float32) * factor,)
        im = im + (other.to(tl.float32) * factor,)
    return re, im
