"""Transforms of tiles as products of matrices, in Triton; `plan` says which, `tables` by what.

Indices: r counts parts of the signal, s those of the spectrum; "re" and "im" are tiles, or tuples of one for
each part. GROUP signals stand side by side in a tile.
"""

import triton
import triton.language as tl


@triton.jit
def operands(re, im, PRECISION: tl.constexpr):
    """What tensor cores are given: halves for "fp16"; Triton itself rounds float32 to tf32."""
    if PRECISION == "fp16":
        re, im = re.to(tl.float16), im.to(tl.float16)
    return re, im


@triton.jit
def _dot(a_re, a_im, b_re, b_im, PRECISION: tl.constexpr):
    rounding: tl.constexpr = "tf32" if PRECISION == "fp16" else PRECISION
    a_re, a_im = operands(a_re, a_im, PRECISION)
    b_re, b_im = operands(b_re, b_im, PRECISION)
    re = tl.dot(a_re, b_re, input_precision=rounding)
    im = tl.dot(a_re, b_im, input_precision=rounding)
    im = tl.dot(a_im, b_re, acc=im, input_precision=rounding)
    re -= tl.dot(a_im, b_im, input_precision=rounding)  # a negative of either would be another in registers
    tl.debug_barrier()  # without it ptxas moves later loads up
    return re, im


@triton.jit
def _dot_of_conjugate(a_re, a_im, b_re, b_im, PRECISION: tl.constexpr):
    """conj(a) b."""
    rounding: tl.constexpr = "tf32" if PRECISION == "fp16" else PRECISION
    a_re, a_im = operands(a_re, a_im, PRECISION)
    b_re, b_im = operands(b_re, b_im, PRECISION)
    re = tl.dot(a_re, b_re, input_precision=rounding)
    im = tl.dot(a_re, b_im, input_precision=rounding)
    re = tl.dot(a_im, b_im, acc=re, input_precision=rounding)
    im -= tl.dot(a_im, b_re, input_precision=rounding)
    tl.debug_barrier()
    return re, im


@triton.jit
def _dot_by_conjugate(a_re, a_im, b_re, b_im, PRECISION: tl.constexpr):
    """a conj(b)."""
    rounding: tl.constexpr = "tf32" if PRECISION == "fp16" else PRECISION
    a_re, a_im = operands(a_re, a_im, PRECISION)
    b_re, b_im = operands(b_re, b_im, PRECISION)
    re = tl.dot(a_im, b_im, input_precision=rounding)
    im = tl.dot(a_im, b_re, input_precision=rounding)
    re = tl.dot(a_re, b_re, acc=re, input_precision=rounding)
    im -= tl.dot(a_re, b_im, input_precision=rounding)
    tl.debug_barrier()
    return re, im


@triton.jit
def power_of_two(most):
    """The power of two at or below a float32, and its inverse: products with either are exact."""
    exponent = tl.minimum(tl.maximum(most.to(tl.int32, bitcast=True) >> 23, 1), 253)
    inverse = 254 - exponent
    return (exponent << 23).to(tl.float32, bitcast=True), (inverse << 23).to(tl.float32, bitcast=True)


@triton.jit
def scaled(re, im, COLUMNS: tl.constexpr, GROUP: tl.constexpr):
    """Signals with a greatest part of 1 to 2, and the power of two that each was divided by.

    fp16 ends at 65504, which no sum of a transform reaches then, and below 6e-5 has fewer digits.
    """
    most = tl.maximum(tl.abs(re), tl.abs(im))
    if GROUP == 1:
        power, inverse = power_of_two(tl.max(tl.max(most, axis=0), axis=0))
    else:
        is_one = tl.arange(0, GROUP * COLUMNS)[None, :] < COLUMNS
        one, by_one = power_of_two(tl.max(tl.max(tl.where(is_one, most, 0.0), axis=0), axis=0))
        other, by_other = power_of_two(tl.max(tl.max(tl.where(is_one, 0.0, most), axis=0), axis=0))
        power, inverse = tl.where(is_one, one, other), tl.where(is_one, by_one, by_other)
    return re * inverse, im * inverse, power


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
def _across(re, N1: tl.constexpr, N2: tl.constexpr, GROUP: tl.constexpr):
    """Each signal's N1 x N2 transposed, side by side as before."""
    return tl.reshape(tl.permute(tl.reshape(re, (N1, GROUP, N2)), (2, 1, 0)), (N2, GROUP * N1))


@triton.jit
def _left(tables, N1: tl.constexpr):
    return tl.load(tables + entries_of(N1, N1)), tl.load(tables + N1 * N1 + entries_of(N1, N1))


@triton.jit
def _turn(tables, s, N1: tl.constexpr):
    start = tables + 2 * N1 * N1 + 2 * (s - 1) * N1
    at = tl.arange(0, N1)[:, None]
    return tl.load(start + at), tl.load(start + N1 + at)


@triton.jit
def _twiddle(tables, s, RADIX: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr, GROUP: tl.constexpr):
    start = tables + 2 * N1 * (N1 + RADIX - 1) + 2 * s * N1 * N2
    at = tl.arange(0, N1)[:, None] * N2 + tl.arange(0, GROUP * N2)[None, :] % N2
    return tl.load(start + at), tl.load(start + N1 * N2 + at)


@triton.jit
def _right(tables, RADIX: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr):
    start = tables + 2 * N1 * (N1 + RADIX - 1 + RADIX * N2)
    return tl.load(start + entries_of(N2, N2)), tl.load(start + N2 * N2 + entries_of(N2, N2))


@triton.jit
def spectrum_place(N1: tl.constexpr, N2: tl.constexpr, GROUP: tl.constexpr):
    """Where entries lie in a part of a spectrum, as `transform` leaves them, and of which signal they are."""
    if GROUP == 1:
        at, signal = entries_of(N1, N2), 0
    else:
        column = tl.arange(0, GROUP * N1)[None, :]
        at, signal = tl.arange(0, N2)[:, None] * N1 + column % N1, column // N1
    return at, signal


@triton.jit
def one_spectrum_place(N1: tl.constexpr, N2: tl.constexpr, GROUP: tl.constexpr):
    """Where entries of one signal alone belong in a part of a spectrum of several."""
    row, column = tl.arange(0, N1)[:, None], tl.arange(0, N2)[None, :]
    return row * N2 + column if GROUP == 1 else column * N1 + row


@triton.jit
def part_of_spectrum(spectrum, s, N1: tl.constexpr, N2: tl.constexpr, GROUP: tl.constexpr):
    """Part s of the circulant's spectrum, for each of the signals side by side."""
    at, _ = spectrum_place(N1, N2, GROUP)
    start = spectrum + 2 * s * N1 * N2
    return tl.load(start + at), tl.load(start + N1 * N2 + at)


@triton.jit
def transform(
    re, im, tables, s,
    RADIX: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr, GROUP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Part s of the spectrum from output s of the butterfly; of several signals side by side transposed."""
    if s > 0:
        turn_re, turn_im = _turn(tables, s, N1)
        re, im = re * turn_re - im * turn_im, re * turn_im + im * turn_re
    if PRECISION == "fp16":
        re, im, power = scaled(re, im, N2, GROUP)
    left_re, left_im = _left(tables, N1)
    re, im = _dot(left_re, left_im, re, im, PRECISION)
    turn_re, turn_im = _twiddle(tables, s, RADIX, N1, N2, GROUP)
    re, im = re * turn_re - im * turn_im, re * turn_im + im * turn_re
    right_re, right_im = _right(tables, RADIX, N1, N2)
    if GROUP == 1:
        re, im = _dot(re, im, right_re, right_im, PRECISION)
    else:
        re, im = _across(re, N1, N2, GROUP), _across(im, N1, N2, GROUP)
        re, im = _dot(right_re, right_im, re, im, PRECISION)
    if PRECISION == "fp16":
        re, im = re * power, im * power
    return re, im


@triton.jit
def inverse(
    re, im, tables, s,
    RADIX: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr, GROUP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """The adjoint of `transform`."""
    if PRECISION == "fp16":
        re, im, power = scaled(re, im, N2, GROUP)  # of several signals tiles are square
    right_re, right_im = _right(tables, RADIX, N1, N2)
    if GROUP == 1:
        re, im = _dot_by_conjugate(re, im, right_re, right_im, PRECISION)
    else:
        re, im = _dot_of_conjugate(right_re, right_im, re, im, PRECISION)
        re, im = _across(re, N2, N1, GROUP), _across(im, N2, N1, GROUP)
    turn_re, turn_im = _twiddle(tables, s, RADIX, N1, N2, GROUP)
    re, im = re * turn_re + im * turn_im, im * turn_re - re * turn_im
    left_re, left_im = _left(tables, N1)
    re, im = _dot_of_conjugate(left_re, left_im, re, im, PRECISION)
    if PRECISION == "fp16":
        re, im = re * power, im * power
    if s > 0:
        turn_re, turn_im = _turn(tables, s, N1)
        re, im = re * turn_re + im * turn_im, im * turn_re - re * turn_im
    return re, im
