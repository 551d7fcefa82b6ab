"""The update and its gradients in Triton's language, which its interpreter runs on any machine.

A program holds one token at a time, as one real signal: no row ever meets another, but in sums over rows. Of
products in fp16 each signal has a scale of its own, which is undone in float32 at once. `plan` says how a
signal is cut, and what `tables` hold.

`zero` is 0, which the compiler cannot know: addresses with `token & zero` in them are another for each token,
so that what lies there is loaded anew, from the cache, and not kept in registers from before the loop.
"""

import math

import triton
import triton.language as tl

SIDE = tl.constexpr(16)


@triton.constexpr_function
def cosine(step, radix):
    """cos(2 pi step / radix)."""
    return round(math.cos(2 * math.pi * step / radix), 15)


@triton.constexpr_function
def sine(step, radix):
    """sin(2 pi step / radix)."""
    return round(math.sin(2 * math.pi * step / radix), 15)


@triton.constexpr_function
def is_real(s, radix):
    """Whether output s of the butterfly of real values is real."""
    return 2 * s in (0, radix)


@triton.jit
def _tile(start, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Real and imaginary part of a table or spectrum."""
    at = tl.arange(0, ROWS)[:, None] * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    return tl.load(start + at), tl.load(start + ROWS * COLUMNS + at)


@triton.jit
def _dot(a, b, PRECISION: tl.constexpr):
    if PRECISION == "fp16":
        found = tl.dot(a.to(tl.float16), b.to(tl.float16))
    else:
        found = tl.dot(a, b, input_precision=PRECISION)
    return found


@triton.jit
def _power_of_two(most):
    """The power of two at or below a float32, and its inverse: products with either are exact, and finite."""
    exponent = tl.minimum(tl.maximum(most.to(tl.int32, bitcast=True) >> 23, 1), 253)
    inverse = 254 - exponent
    return (exponent << 23).to(tl.float32, bitcast=True), (inverse << 23).to(tl.float32, bitcast=True)


@triton.jit
def _scaled(re, im):
    """The signal with a greatest part of 1 to 2, and the power of two that it was divided by.

    fp16 ends at 65504, which no sum of a transform reaches then, and below 6e-5 has fewer digits.
    """
    most = tl.maximum(tl.abs(re), tl.abs(im))
    power, inverse = _power_of_two(tl.max(tl.max(most, axis=0), axis=0))
    return re * inverse, im * inverse, power


@triton.jit
def _place(r, start, size, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N2: tl.constexpr):
    """Where tile r of a block that begins at `start` lies in a row of so many entries, and what is there."""
    row, column = tl.arange(0, SIDE)[:, None], tl.arange(0, N2)[None, :]
    at = start + r * ROWS * COLUMNS + row * COLUMNS + column
    return at, (row < ROWS) & (column < COLUMNS) & (at < size)


@triton.jit
def _transform(
    row, diagonal, scale, start, size, tables, s: tl.constexpr,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N2: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Part s of the spectrum of a block of scale diagonal * row: frequency R (k1 + n1 k2) + s at [k2, k1]."""
    re = tl.full((SIDE, N2), 0.0, tl.float32)
    im = tl.full((SIDE, N2), 0.0, tl.float32)
    for r in tl.static_range(RADIX):
        at, inside = _place(r, start, size, ROWS, COLUMNS, N2)
        value = tl.load(row + at, mask=inside, other=0.0).to(tl.float32)
        value *= tl.load(diagonal + at, mask=inside, other=0.0) * scale
        if cosine(r * s, RADIX) != 0:
            re += value * cosine(r * s, RADIX)
        if sine(r * s, RADIX) != 0:
            im -= value * sine(r * s, RADIX)
    if PRECISION == "fp16":
        re, im, power = _scaled(re, im)
    tables += s * (2 * SIDE * (SIDE + N2))
    left_re, left_im = _tile(tables, SIDE, SIDE)
    to_re, to_im = _dot(left_re, re, PRECISION), _dot(left_im, re, PRECISION)
    if not is_real(s, RADIX):
        to_re -= _dot(left_im, im, PRECISION)
        to_im += _dot(left_re, im, PRECISION)
    turn_re, turn_im = _tile(tables + 2 * SIDE * SIDE, SIDE, N2)
    re = tl.trans(to_re * turn_re - to_im * turn_im)
    im = tl.trans(to_re * turn_im + to_im * turn_re)
    right_re, right_im = _tile(tables + (RADIX // 2 + 1 - s) * (2 * SIDE * (SIDE + N2)), N2, N2)
    to_re = _dot(right_re, re, PRECISION) - _dot(right_im, im, PRECISION)
    to_im = _dot(right_re, im, PRECISION) + _dot(right_im, re, PRECISION)
    if PRECISION == "fp16":
        to_re, to_im = to_re * power, to_im * power
    return to_re, to_im


@triton.jit
def _inverse(
    re, im, tables, s: tl.constexpr, RADIX: tl.constexpr, N2: tl.constexpr, PRECISION: tl.constexpr
):  # fmt: skip
    """Output s of the butterfly from part s of a spectrum, times d / R: by the adjoints of those products."""
    if PRECISION == "fp16":
        re, im, power = _scaled(re, im)
    tables += s * (2 * SIDE * (SIDE + N2))
    right_re, right_im = _tile(tables + (RADIX // 2 + 1 - s) * (2 * SIDE * (SIDE + N2)), N2, N2)
    to_re = tl.trans(_dot(right_re, re, PRECISION) + _dot(right_im, im, PRECISION))
    to_im = tl.trans(_dot(right_re, im, PRECISION) - _dot(right_im, re, PRECISION))
    turn_re, turn_im = _tile(tables + 2 * SIDE * SIDE, SIDE, N2)
    re, im = to_re * turn_re + to_im * turn_im, to_im * turn_re - to_re * turn_im
    left_re, left_im = _tile(tables, SIDE, SIDE)
    left_re, left_im = tl.trans(left_re), tl.trans(left_im)
    to_re = _dot(left_re, re, PRECISION) + _dot(left_im, im, PRECISION)
    to_im = to_re
    if not is_real(s, RADIX):
        to_im = _dot(left_re, im, PRECISION) - _dot(left_im, re, PRECISION)
    if PRECISION == "fp16":
        to_re, to_im = to_re * power, to_im * power
    return to_re, to_im


@triton.jit(do_not_specialize=["tokens", "zero"])  # what is computed of a row depends on no number of rows
def product_kernel(
    out, shares, others, rows, before, after, bias, spectra, tables, alpha, tokens, d_in, d_out, inner,
    by_outer, by_inner, zero,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N2: tl.constexpr,
    CONJUGATE: tl.constexpr, STORE: tl.constexpr, ADD: tl.constexpr, BIAS: tl.constexpr,
    SHARE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """v = C (alpha before * rows), or C^T of it where CONJUGATE, for one row of C's blocks a program.

    STORE asks for out = after * v, plus a bias (BIAS), plus what is there (ADD); SHARE for the program's
    share of the sum over tokens of others * v: (programs, blocks p).
    rows: (tokens, d_in); out, others: (tokens, d_out); spectra: of blocks FFT(c) / p, in `orders`, those of a
    row by_inner apart, of which there are inner, and rows by_outer
    """
    p: tl.constexpr = RADIX * ROWS * COLUMNS
    parts: tl.constexpr = RADIX // 2 + 1
    block, blocks = tl.program_id(1), tl.num_programs(1)
    blank = tl.full((SIDE, N2), 0.0, tl.float32)
    blanks = ()
    for _ in tl.static_range(RADIX):
        blanks = blanks + (blank,)
    sums = blanks
    for token in tl.range(tl.program_id(0), tokens, tl.num_programs(0)):
        far = tl.full((), 1, tl.int64) * token  # for offsets beyond 2^31
        same = tl.multiple_of(token & zero, 16)
        signal = blanks
        for s in tl.static_range(parts):
            re, im = tl.full((N2, SIDE), 0.0, tl.float32), tl.full((N2, SIDE), 0.0, tl.float32)
            for j in tl.range(0, inner):
                u_re, u_im = _transform(
                    rows + far * d_in,
                    before + same,
                    alpha,
                    j * p,
                    d_in,
                    tables + same,
                    s,
                    RADIX,
                    ROWS,
                    COLUMNS,
                    N2,
                    PRECISION,
                )
                at = (block * by_outer + j * by_inner) * parts + s
                c_re, c_im = _tile(spectra + same + at * (2 * SIDE * N2), N2, SIDE)
                if CONJUGATE:
                    c_im = -c_im
                re += u_re * c_re - u_im * c_im
                im += u_re * c_im + u_im * c_re
            re, im = _inverse(re, im, tables + same, s, RADIX, N2, PRECISION)
            found = ()
            for r in tl.static_range(RADIX):
                value = signal[r]
                if is_real(s, RADIX):
                    value += re * cosine(r * s, RADIX)
                else:  # its conjugate, part R - s, adds as much
                    value += re * (2 * cosine(r * s, RADIX)) - im * (2 * sine(r * s, RADIX))
                found = found + (value,)
            signal = found
        found = ()
        for r in tl.static_range(RADIX):
            at, inside = _place(r, block * p, d_out, ROWS, COLUMNS, N2)
            if SHARE:
                other = tl.load(others + far * d_out + at, mask=inside, other=0.0).to(tl.float32)
                found = found + (sums[r] + other * signal[r],)
            if STORE:
                value = signal[r] * tl.load(after + same + at, mask=inside, other=0.0)
                to = out + far * d_out + at
                if BIAS:
                    value += tl.load(bias + at, mask=inside, other=0.0).to(tl.float32)
                if ADD:
                    value += tl.load(to, mask=inside, other=0.0).to(tl.float32)
                tl.store(to, value.to(out.dtype.element_ty), mask=inside)
        if SHARE:
            sums = found
    if SHARE:
        share = shares + (tl.program_id(0) * blocks + block) * p
        for r in tl.static_range(RADIX):
            at, inside = _place(r, 0, p, ROWS, COLUMNS, N2)
            tl.store(share + at, sums[r], mask=inside)


@triton.jit(do_not_specialize=["tokens", "zero"])
def correlate_kernel(
    shares, x, grad, first, last, tables, alpha, tokens, d_in, d_out, q2, zero,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N2: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """A program's share of a block's gradient as a spectrum, sum conj(FFT(first x_j)) FFT(alpha last grad_i).

    shares: (programs, q1 q2, parts, 2, N2, SIDE)
    """
    p: tl.constexpr = RADIX * ROWS * COLUMNS
    parts: tl.constexpr = RADIX // 2 + 1
    i, j = tl.program_id(1) // q2, tl.program_id(1) % q2
    sums_re, sums_im = (), ()
    for _ in tl.static_range(parts):
        sums_re = sums_re + (tl.full((N2, SIDE), 0.0, tl.float32),)
        sums_im = sums_im + (tl.full((N2, SIDE), 0.0, tl.float32),)
    for token in tl.range(tl.program_id(0), tokens, tl.num_programs(0)):
        far = tl.full((), 1, tl.int64) * token
        same = tl.multiple_of(token & zero, 16)
        found_re, found_im = (), ()
        for s in tl.static_range(parts):
            u_re, u_im = _transform(
                x + far * d_in,
                first + same,
                1.0,
                j * p,
                d_in,
                tables + same,
                s,
                RADIX,
                ROWS,
                COLUMNS,
                N2,
                PRECISION,
            )
            h_re, h_im = _transform(
                grad + far * d_out,
                last + same,
                alpha,
                i * p,
                d_out,
                tables + same,
                s,
                RADIX,
                ROWS,
                COLUMNS,
                N2,
                PRECISION,
            )
            found_re = found_re + (sums_re[s] + (u_re * h_re + u_im * h_im),)
            found_im = found_im + (sums_im[s] + (u_re * h_im - u_im * h_re),)
        sums_re, sums_im = found_re, found_im
    share = shares + (tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)) * (parts * 2 * SIDE * N2)
    at = tl.arange(0, N2)[:, None] * SIDE + tl.arange(0, SIDE)[None, :]
    for s in tl.static_range(parts):
        tl.store(share + 2 * s * SIDE * N2 + at, sums_re[s])
        tl.store(share + (2 * s + 1) * SIDE * N2 + at, sums_im[s])
