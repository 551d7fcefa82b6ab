"""The update and its gradients as Triton kernels, which Triton's interpreter runs on any machine.

A program holds one token at a time, as one real signal: rows meet only in sums over rows. For products in
fp16 each signal has a scale of its own, which is undone in float32 at once. `plan` says how a signal is cut
into tiles and what `tables` hold.

`PLAN` is a `plan.KernelPlan`: the tiles, and how products are rounded.

`opaque_zero` is 0, which the compiler cannot know: addresses that contain `token & opaque_zero` differ for
each token, so that what is there is loaded again, from the cache, and not kept in registers throughout the
loop.
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
def _load_tile(start, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Real and imaginary part of a table or spectrum."""
    at = tl.arange(0, ROWS)[:, None] * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    return tl.load(start + at), tl.load(start + ROWS * COLUMNS + at)


@triton.constexpr_function
def table_size(plan):
    """Entries of left and twiddle of a part, real and imaginary."""
    return 2 * SIDE * (SIDE + plan.tile_columns)


@triton.jit
def _left(tables, s: tl.constexpr, PLAN: tl.constexpr):
    return _load_tile(tables + s * table_size(PLAN), SIDE, SIDE)


@triton.jit
def _twiddle(tables, s: tl.constexpr, PLAN: tl.constexpr):
    return _load_tile(tables + s * table_size(PLAN) + 2 * SIDE * SIDE, SIDE, PLAN.tile_columns)


@triton.jit
def _right(tables, PLAN: tl.constexpr):
    return _load_tile(tables + PLAN.parts * table_size(PLAN), PLAN.tile_columns, PLAN.tile_columns)


@triton.jit
def _dot(a, b, PLAN: tl.constexpr):
    if PLAN.precision == "fp16":
        product = tl.dot(a.to(tl.float16), b.to(tl.float16))
    else:
        product = tl.dot(a, b, input_precision=PLAN.precision)
    return product


@triton.jit
def _power_of_two(value):
    """The power of two at or below a float32, and its inverse: products with either are exact, and finite."""
    exponent = tl.minimum(tl.maximum(value.to(tl.int32, bitcast=True) >> 23, 1), 253)
    inverse = 254 - exponent
    return (exponent << 23).to(tl.float32, bitcast=True), (inverse << 23).to(tl.float32, bitcast=True)


@triton.jit
def _normalize(re, im):
    """The signal scaled so that its largest part is 1 to 2, and the power of two that it was divided by.

    fp16 ends at 65504, which no sum of a transform then reaches, and has fewer digits below 6e-5.
    """
    largest = tl.maximum(tl.abs(re), tl.abs(im))
    power, inverse = _power_of_two(tl.max(tl.max(largest, axis=0), axis=0))
    return re * inverse, im * inverse, power


@triton.jit
def _tile_offsets(r, start, size, PLAN: tl.constexpr):
    """Offsets of tile r of the block that begins at `start` in a row of `size` entries, and which exist."""
    ROWS: tl.constexpr = PLAN.rows
    COLUMNS: tl.constexpr = PLAN.columns
    row, column = tl.arange(0, SIDE)[:, None], tl.arange(0, PLAN.tile_columns)[None, :]
    at = start + r * ROWS * COLUMNS + row * COLUMNS + column
    return at, (row < ROWS) & (column < COLUMNS) & (at < size)


@triton.jit
def _transform(row, diagonal, scale, start, size, tables, s: tl.constexpr, PLAN: tl.constexpr):
    """Part s of the spectrum of a block of scale diagonal * row: frequency R (k1 + n1 k2) + s at [k2, k1]."""
    RADIX: tl.constexpr = PLAN.radix
    re = tl.full((SIDE, PLAN.tile_columns), 0.0, tl.float32)
    im = tl.full((SIDE, PLAN.tile_columns), 0.0, tl.float32)
    for r in tl.static_range(RADIX):
        at, inside = _tile_offsets(r, start, size, PLAN)
        value = tl.load(row + at, mask=inside, other=0.0).to(tl.float32)
        value *= tl.load(diagonal + at, mask=inside, other=0.0) * scale
        if cosine(r * s, RADIX) != 0:
            re += value * cosine(r * s, RADIX)
        if sine(r * s, RADIX) != 0:
            im -= value * sine(r * s, RADIX)
    if PLAN.precision == "fp16":
        re, im, power = _normalize(re, im)
    left_re, left_im = _left(tables, s, PLAN)
    to_re, to_im = _dot(left_re, re, PLAN), _dot(left_im, re, PLAN)
    if not is_real(s, RADIX):
        to_re -= _dot(left_im, im, PLAN)
        to_im += _dot(left_re, im, PLAN)
    twiddle_re, twiddle_im = _twiddle(tables, s, PLAN)
    re = tl.trans(to_re * twiddle_re - to_im * twiddle_im)
    im = tl.trans(to_re * twiddle_im + to_im * twiddle_re)
    right_re, right_im = _right(tables, PLAN)
    to_re = _dot(right_re, re, PLAN) - _dot(right_im, im, PLAN)
    to_im = _dot(right_re, im, PLAN) + _dot(right_im, re, PLAN)
    if PLAN.precision == "fp16":
        to_re, to_im = to_re * power, to_im * power
    return to_re, to_im


@triton.jit
def _inverse(re, im, tables, s: tl.constexpr, PLAN: tl.constexpr):
    """Output s of the butterfly from part s of a spectrum, times d / R: by the adjoints of those products."""
    if PLAN.precision == "fp16":
        re, im, power = _normalize(re, im)
    right_re, right_im = _right(tables, PLAN)
    to_re = tl.trans(_dot(right_re, re, PLAN) + _dot(right_im, im, PLAN))
    to_im = tl.trans(_dot(right_re, im, PLAN) - _dot(right_im, re, PLAN))
    twiddle_re, twiddle_im = _twiddle(tables, s, PLAN)
    re, im = to_re * twiddle_re + to_im * twiddle_im, to_im * twiddle_re - to_re * twiddle_im
    left_re, left_im = _left(tables, s, PLAN)
    left_re, left_im = tl.trans(left_re), tl.trans(left_im)
    to_re = _dot(left_re, re, PLAN) + _dot(left_im, im, PLAN)
    to_im = to_re
    if not is_real(s, PLAN.radix):
        to_im = _dot(left_re, im, PLAN) - _dot(left_im, re, PLAN)
    if PLAN.precision == "fp16":
        to_re, to_im = to_re * power, to_im * power
    return to_re, to_im


# tokens: what is computed of a row must not depend on their number
@triton.jit(do_not_specialize=["tokens", "opaque_zero"])
def product_kernel(
    out, partial_sums, others, rows, before, after, bias, spectra, tables, alpha, tokens, d_in, d_out, inner,
    by_outer, by_inner, opaque_zero,
    CONJUGATE: tl.constexpr, STORE: tl.constexpr, ADD: tl.constexpr, BIAS: tl.constexpr,
    SUM: tl.constexpr, PLAN: tl.constexpr,
):  # fmt: skip
    """v = C (alpha before * rows), or C^T of it where CONJUGATE, for one row of C's blocks a program.

    STORE asks for out = after * v, plus a bias (BIAS), plus what is there (ADD); SUM for the program's
    partial sum over tokens of others * v: (programs, blocks p).
    rows: (tokens, d_in); out, others: (tokens, d_out); spectra: of blocks FFT(c) / p, in `orders`, with
    stride by_inner within a row, of which there are inner, and by_outer between rows
    """
    RADIX: tl.constexpr = PLAN.radix
    N2: tl.constexpr = PLAN.tile_columns
    p: tl.constexpr = PLAN.width
    parts: tl.constexpr = PLAN.parts
    block, blocks = tl.program_id(1), tl.num_programs(1)
    zero_tile = tl.full((SIDE, N2), 0.0, tl.float32)
    zeros = ()
    for _ in tl.static_range(RADIX):
        zeros = zeros + (zero_tile,)
    sums = zeros
    for token in tl.range(tl.program_id(0), tokens, tl.num_programs(0)):
        long_token = tl.full((), 1, tl.int64) * token  # for offsets beyond 2^31
        reload = tl.multiple_of(token & opaque_zero, 16)
        signal = zeros
        for s in tl.static_range(parts):
            re, im = tl.full((N2, SIDE), 0.0, tl.float32), tl.full((N2, SIDE), 0.0, tl.float32)
            for j in tl.range(0, inner):
                row = rows + long_token * d_in
                u_re, u_im = _transform(row, before + reload, alpha, j * p, d_in, tables + reload, s, PLAN)
                at = (block * by_outer + j * by_inner) * parts + s
                c_re, c_im = _load_tile(spectra + reload + at * (2 * SIDE * N2), N2, SIDE)
                if CONJUGATE:
                    c_im = -c_im
                re += u_re * c_re - u_im * c_im
                im += u_re * c_im + u_im * c_re
            re, im = _inverse(re, im, tables + reload, s, PLAN)
            updated = ()
            for r in tl.static_range(RADIX):
                value = signal[r]
                if is_real(s, RADIX):
                    value += re * cosine(r * s, RADIX)
                else:  # its conjugate, part R - s, adds as much
                    value += re * (2 * cosine(r * s, RADIX)) - im * (2 * sine(r * s, RADIX))
                updated = updated + (value,)
            signal = updated
        updated = ()
        for r in tl.static_range(RADIX):
            at, inside = _tile_offsets(r, block * p, d_out, PLAN)
            if SUM:
                other = tl.load(others + long_token * d_out + at, mask=inside, other=0.0).to(tl.float32)
                updated = updated + (sums[r] + other * signal[r],)
            if STORE:
                value = signal[r] * tl.load(after + reload + at, mask=inside, other=0.0)
                to = out + long_token * d_out + at
                if BIAS:
                    value += tl.load(bias + at, mask=inside, other=0.0).to(tl.float32)
                if ADD:
                    value += tl.load(to, mask=inside, other=0.0).to(tl.float32)
                tl.store(to, value.to(out.dtype.element_ty), mask=inside)
        if SUM:
            sums = updated
    if SUM:
        own = partial_sums + (tl.program_id(0) * blocks + block) * p
        for r in tl.static_range(RADIX):
            at, inside = _tile_offsets(r, 0, p, PLAN)
            tl.store(own + at, sums[r], mask=inside)


@triton.jit(do_not_specialize=["tokens", "opaque_zero"])
def correlate_kernel(
    partial_sums, x, grad, first, last, tables, alpha, tokens, d_in, d_out, q2, opaque_zero,
    PLAN: tl.constexpr,
):  # fmt: skip
    """A program's partial sum of a block's gradient: sum conj(FFT(first x_j)) FFT(alpha last grad_i).

    partial_sums: (programs, q1 q2, parts, 2, N2, SIDE)
    """
    N2: tl.constexpr = PLAN.tile_columns
    p: tl.constexpr = PLAN.width
    parts: tl.constexpr = PLAN.parts
    i, j = tl.program_id(1) // q2, tl.program_id(1) % q2
    sums_re, sums_im = (), ()
    for _ in tl.static_range(parts):
        sums_re = sums_re + (tl.full((N2, SIDE), 0.0, tl.float32),)
        sums_im = sums_im + (tl.full((N2, SIDE), 0.0, tl.float32),)
    for token in tl.range(tl.program_id(0), tokens, tl.num_programs(0)):
        long_token = tl.full((), 1, tl.int64) * token
        reload = tl.multiple_of(token & opaque_zero, 16)
        x_row, grad_row, turns = x + long_token * d_in, grad + long_token * d_out, tables + reload
        updated_re, updated_im = (), ()
        for s in tl.static_range(parts):
            u_re, u_im = _transform(x_row, first + reload, 1.0, j * p, d_in, turns, s, PLAN)
            h_re, h_im = _transform(grad_row, last + reload, alpha, i * p, d_out, turns, s, PLAN)
            updated_re = updated_re + (sums_re[s] + (u_re * h_re + u_im * h_im),)
            updated_im = updated_im + (sums_im[s] + (u_re * h_im - u_im * h_re),)
        sums_re, sums_im = updated_re, updated_im
    tile: tl.constexpr = SIDE * N2
    block = tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)
    own = partial_sums + block * (parts * 2 * tile)
    at = tl.arange(0, N2)[:, None] * SIDE + tl.arange(0, SIDE)[None, :]
    for s in tl.static_range(parts):
        tl.store(own + 2 * s * tile + at, sums_re[s])
        tl.store(own + (2 * s + 1) * tile + at, sums_im[s])
