"""The update and its gradients for whole circulants of 4096 = 16^3, in Triton: three stages of 16.

A tile has 16 x 256 entries, of which each stage transforms the columns by one 16 x 16 matrix; between stages
the three indices take turns. `device` has the same for other widths in two stages, and what is said there of
complex signals, persistent programs and `zero` holds here. Registers hold no more than two transforms and
their sums: gradients take three passes, by x and first, by last, and by c.
"""

import triton
import triton.language as tl

from cdvft.kernels.fused.dft import entries_of, operands, scaled

SIDE = tl.constexpr(16)
COLUMNS = tl.constexpr(256)
WIDTH = tl.constexpr(4096)


@triton.jit
def _columns(re, im, f_re, f_im, PRECISION: tl.constexpr):
    """F times the tile."""
    rounding: tl.constexpr = "tf32" if PRECISION == "fp16" else PRECISION
    re, im = operands(re, im, PRECISION)
    f_re, f_im = operands(f_re, f_im, PRECISION)
    to_im = tl.dot(f_im, re, input_precision=rounding)
    to_im = tl.dot(f_re, im, acc=to_im, input_precision=rounding)
    to_re = tl.dot(f_re, re, input_precision=rounding)
    to_re -= tl.dot(f_im, im, input_precision=rounding)
    return to_re, to_im


@triton.jit
def _ordered(part, ORDER: tl.constexpr):
    """A tile's three indices in another order."""
    cube = tl.permute(tl.reshape(part, (SIDE, SIDE, SIDE)), ORDER)
    return tl.reshape(cube, (SIDE, COLUMNS))


@triton.jit
def _pair(start, SIZE: tl.constexpr):
    """Real and imaginary part of a table or spectrum."""
    at = entries_of(SIDE, SIZE)
    return tl.load(start + at), tl.load(start + SIDE * SIZE + at)


@triton.jit
def transform(re, im, tables, PRECISION: tl.constexpr):
    """The spectrum: of frequency k1 + 16 k2 + 256 k3 in row k3, column 16 k1 + k2."""
    if PRECISION == "fp16":
        re, im, power = scaled(re, im, COLUMNS, 1)
    matrix = tables
    tables += 2 * SIDE * SIDE
    for stage in tl.static_range(3):
        if stage > 0:
            turn_re, turn_im = _pair(tables, COLUMNS)
            tables += 2 * WIDTH
            re, im = re * turn_re - im * turn_im, re * turn_im + im * turn_re
            re, im = _ordered(re, (1, 2, 0)), _ordered(im, (1, 2, 0))
        f_re, f_im = _pair(matrix, SIDE)
        re, im = _columns(re, im, f_re, f_im, PRECISION)
        tl.debug_barrier()  # without it ptxas moves later loads up, and spills registers
    if PRECISION == "fp16":
        re, im = re * power, im * power
    return re, im


@triton.jit
def inverse(re, im, tables, PRECISION: tl.constexpr):
    """The adjoint of `transform`."""
    if PRECISION == "fp16":
        re, im, power = scaled(re, im, COLUMNS, 1)
    f_re, f_im = _pair(tables, SIDE)
    tables += 2 * SIDE * SIDE + 4 * WIDTH
    for stage in tl.static_range(3):
        if stage > 0:
            re, im = _ordered(re, (2, 0, 1)), _ordered(im, (2, 0, 1))
            tables -= 2 * WIDTH
            turn_re, turn_im = _pair(tables, COLUMNS)
            re, im = re * turn_re + im * turn_im, im * turn_re - re * turn_im
        re, im = _columns(re, im, f_re, -f_im, PRECISION)
    if PRECISION == "fp16":
        re, im = re * power, im * power
    return re, im


@triton.jit
def _rows(rows, has_other):
    """Two tokens as float32, zeros for the second where there is none."""
    at = entries_of(SIDE, COLUMNS)
    one, other = tl.load(rows + at), tl.load(rows + WIDTH + at, mask=has_other, other=0.0)
    return one.to(tl.float32), other.to(tl.float32)


@triton.jit
def _store_rows(rows, re, im, factor, bias, has_other, ADD: tl.constexpr, BIAS: tl.constexpr):
    """Two tokens times a diagonal, added to what is there, and to a bias, if asked."""
    re, im = re * factor, im * factor
    at = entries_of(SIDE, COLUMNS)
    if BIAS:
        shift = tl.load(bias + at).to(tl.float32)
        re, im = re + shift, im + shift
    if ADD:
        one, other = _rows(rows, has_other)
        re, im = re + one, im + other
    tl.store(rows + at, re.to(rows.dtype.element_ty))
    tl.store(rows + WIDTH + at, im.to(rows.dtype.element_ty), mask=has_other)


@triton.jit
def _spectra(rows, diagonal, scale, tables, has_other, PRECISION: tl.constexpr):
    one, other = _rows(rows, has_other)
    factor = tl.load(diagonal + entries_of(SIDE, COLUMNS)) * scale
    return transform(one * factor, other * factor, tables, PRECISION)


@triton.jit
def spectrum_kernel(spectrum, c, tables):
    """FFT(c) / 4096 by one program: the real part before the imaginary one."""
    at = entries_of(SIDE, COLUMNS)
    re, im = tl.load(c + at) / WIDTH, tl.full((SIDE, COLUMNS), 0.0, tl.float32)
    re, im = transform(re, im, tables, "tf32x3")
    tl.store(spectrum + at, re)
    tl.store(spectrum + WIDTH + at, im)


@triton.jit
def signal_kernel(c, spectrum, tables, PRECISION: tl.constexpr):
    """Re IFFT(spectrum) by one program."""
    re, im = _pair(spectrum, COLUMNS)
    re, im = inverse(re, im, tables, PRECISION)
    tl.store(c + entries_of(SIDE, COLUMNS), re / WIDTH)


@triton.jit
def update_kernel(
    out, x, first, last, bias, spectrum, tables, alpha, tokens, zero,
    ADD: tl.constexpr, BIAS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """out = alpha last * IFFT(spectrum * FFT(first * x)), plus what is there, or a bias, if asked."""
    for pair in tl.range(tl.program_id(0).to(tl.int64), (tokens + 1) // 2, tl.num_programs(0)):
        same, again = (
            pair * zero,
            (pair + 1) * zero,
        )  # two, else tables stay in registers from one to the other
        start, has_other = pair * (2 * WIDTH), 2 * pair + 1 < tokens
        re, im = _spectra(x + start, first + same, 1.0, tables + same, has_other, PRECISION)
        c_re, c_im = _pair(spectrum + same, COLUMNS)
        re, im = re * c_re - im * c_im, re * c_im + im * c_re
        re, im = inverse(re, im, tables + again, PRECISION)
        factor = tl.load(last + same + entries_of(SIDE, COLUMNS)) * alpha
        _store_rows(out + start, re, im, factor, bias + same, has_other, ADD, BIAS)


@triton.jit
def input_gradients_kernel(
    grad_x, shares, x, grad, first, last, spectrum, tables, alpha, tokens, zero,
    NEEDS_X: tl.constexpr, ADD: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """g_x = first g_u, and a program's share of g_first = sum x g_u.

    g_u = IFFT(conj(C) FFT(alpha last grad)).
    """
    at = entries_of(SIDE, COLUMNS)
    sums = tl.full((SIDE, COLUMNS), 0.0, tl.float32)
    for pair in tl.range(tl.program_id(0).to(tl.int64), (tokens + 1) // 2, tl.num_programs(0)):
        same, again = pair * zero, (pair + 1) * zero
        start, has_other = pair * (2 * WIDTH), 2 * pair + 1 < tokens
        re, im = _spectra(grad + start, last + same, alpha, tables + same, has_other, PRECISION)
        c_re, c_im = _pair(spectrum + same, COLUMNS)
        re, im = re * c_re + im * c_im, im * c_re - re * c_im
        re, im = inverse(re, im, tables + again, PRECISION)
        one, other = _rows(x + start, has_other)
        sums += one * re + other * im
        if NEEDS_X:
            factor = tl.load(first + same + at)
            _store_rows(grad_x + start, re, im, factor, first, has_other, ADD, False)
    tl.store(shares + tl.program_id(0) * WIDTH + at, sums)


@triton.jit
def last_gradient_kernel(
    shares, x, grad, first, spectrum, tables, alpha, tokens, zero, PRECISION: tl.constexpr
):
    """A program's share of g_last = alpha sum grad IFFT(C FFT(first x))."""
    sums = tl.full((SIDE, COLUMNS), 0.0, tl.float32)
    for pair in tl.range(tl.program_id(0).to(tl.int64), (tokens + 1) // 2, tl.num_programs(0)):
        same, again = pair * zero, (pair + 1) * zero
        start, has_other = pair * (2 * WIDTH), 2 * pair + 1 < tokens
        re, im = _spectra(x + start, first + same, 1.0, tables + same, has_other, PRECISION)
        c_re, c_im = _pair(spectrum + same, COLUMNS)
        re, im = re * c_re - im * c_im, re * c_im + im * c_re
        re, im = inverse(re, im, tables + again, PRECISION)
        one, other = _rows(grad + start, has_other)
        sums += one * re + other * im
    tl.store(shares + tl.program_id(0) * WIDTH + entries_of(SIDE, COLUMNS), sums * alpha)


@triton.jit
def circulant_gradient_kernel(
    shares, x, grad, first, last, tables, alpha, tokens, zero, PRECISION: tl.constexpr
):
    """A program's share of the spectrum of g_c, sum conj(FFT(first x)) FFT(alpha last grad)."""
    sum_re = tl.full((SIDE, COLUMNS), 0.0, tl.float32)
    sum_im = tl.full((SIDE, COLUMNS), 0.0, tl.float32)
    for pair in tl.range(tl.program_id(0).to(tl.int64), (tokens + 1) // 2, tl.num_programs(0)):
        same, again = pair * zero, (pair + 1) * zero
        start, has_other = pair * (2 * WIDTH), 2 * pair + 1 < tokens
        h_re, h_im = _spectra(grad + start, last + same, alpha, tables + same, has_other, PRECISION)
        u_re, u_im = _spectra(x + start, first + same, 1.0, tables + again, has_other, PRECISION)
        sum_re += u_re * h_re + u_im * h_im
        sum_im += u_re * h_im - u_im * h_re
    at = tl.program_id(0) * (2 * WIDTH) + entries_of(SIDE, COLUMNS)
    tl.store(shares + at, sum_re)
    tl.store(shares + WIDTH + at, sum_im)
