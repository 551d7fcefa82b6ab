"""The update and its gradients as one kernel each, in Triton: nothing but inputs and outputs passes memory.

One complex signal carries two tokens: circ(c) is real, so that the parts never mix and nothing is unpacked,
not even for the circulant's gradient, which is the real part of an inverse transform. Programs are
persistent: each takes every so many groups of tokens, adds its share of the vectors' gradients in registers,
and writes it once; `operators` adds the programs' shares in a fixed order.

Everything here and in `dft` is in Triton's language alone, so that its interpreter runs it on any machine.
"""

import triton
import triton.language as tl

from cdvft.kernels.fused.dft import (
    butterfly,
    entries_of,
    inverse,
    load_pairs,
    part_of_spectrum,
    place,
    tokens_of,
    transform,
)


@triton.jit
def spectrum_kernel(
    spectrum, c, tables,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr,
):  # fmt: skip
    """FFT(c) / d by one program: parts s of tiles, real before imaginary."""
    re, im = (), ()
    for r in tl.static_range(RADIX):
        at, inside = place(r, ROWS, COLUMNS, N1, N2, 1)
        re = re + (tl.load(c + at, mask=inside, other=0.0) / (RADIX * ROWS * COLUMNS),)
        im = im + (tl.full((N1, N2), 0.0, tl.float32),)
    re, im = butterfly(re, im, RADIX, -1)
    for s in tl.static_range(RADIX):
        found_re, found_im = transform(re[s], im[s], tables, s, RADIX, N1, N2, 1, "ieee")
        tl.store(spectrum + 2 * s * N1 * N2 + entries_of(N1, N2), found_re)
        tl.store(spectrum + (2 * s + 1) * N1 * N2 + entries_of(N1, N2), found_im)


@triton.jit
def update_kernel(
    out, x, first, last, spectrum, tables, alpha, tokens, zero,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr,
    GROUP: tl.constexpr, ADD: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """out = alpha last * IFFT(spectrum * FFT(first * x)), or added to what is there."""
    width: tl.constexpr = RADIX * ROWS * COLUMNS
    groups = (tokens + 2 * GROUP - 1) // (2 * GROUP)
    for group in tl.range(tl.program_id(0).to(tl.int64), groups, tl.num_programs(0)):
        same = group * zero  # the compiler does not know that: else it would hold all constants in registers
        start = group * (2 * GROUP * width)
        re, im = load_pairs(x + start, group, tokens, first + same, 1.0, RADIX, ROWS, COLUMNS, N1, N2, GROUP)
        re, im = butterfly(re, im, RADIX, -1)
        back_re, back_im = (), ()
        for s in tl.static_range(RADIX):
            part_re, part_im = transform(re[s], im[s], tables + same, s, RADIX, N1, N2, GROUP, PRECISION)
            c_re, c_im = part_of_spectrum(spectrum + same, s, N1, N2, GROUP)
            part_re, part_im = part_re * c_re - part_im * c_im, part_re * c_im + part_im * c_re
            part_re, part_im = inverse(part_re, part_im, tables + same, s, RADIX, N1, N2, GROUP, PRECISION)
            back_re, back_im = back_re + (part_re,), back_im + (part_im,)
        re, im = butterfly(back_re, back_im, RADIX, 1)
        lane, is_one, is_other = tokens_of(group, tokens, N2, GROUP)
        for r in tl.static_range(RADIX):
            at, inside = place(r, ROWS, COLUMNS, N1, N2, GROUP)
            factor = tl.load(last + same + at, mask=inside, other=0.0) * alpha
            one, other = re[r] * factor, im[r] * factor
            row = out + start + lane * width + at
            if ADD:
                one += tl.load(row, mask=inside & is_one, other=0.0).to(tl.float32)
                other += tl.load(row + width, mask=inside & is_other, other=0.0).to(tl.float32)
            tl.store(row, one.to(out.dtype.element_ty), mask=inside & is_one)
            tl.store(row + width, other.to(out.dtype.element_ty), mask=inside & is_other)


@triton.jit
def gradients_kernel(
    grad_x, shares, x, grad, first, last, spectrum, tables, alpha, tokens, zero,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr,
    GROUP: tl.constexpr, INPUT: tl.constexpr, OUTPUT: tl.constexpr,
    NEEDS_X: tl.constexpr, ADD: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Gradients of the loss, given that by the update: by x whole, by the vectors a program's share.

    With u = first x, h = alpha last grad, U and H their spectra, v = IFFT(C U), g_u = IFFT(conj(C) H), and
    sums over tokens: g_x = first g_u, g_first = sum x g_u, g_last = alpha sum grad v,
    g_c = Re IFFT(sum conj(U) H).
    INPUT asks for the first two, OUTPUT for the others: both at once where registers hold all.
    shares: (programs, GROUP, 3, d) for first, last and c.
    """
    width: tl.constexpr = RADIX * ROWS * COLUMNS
    sum_first, sum_last, sum_re, sum_im = (), (), (), ()
    for _ in tl.static_range(RADIX):
        blank = tl.full((N1, GROUP * N2), 0.0, tl.float32)
        if INPUT:
            sum_first = sum_first + (blank,)
        if OUTPUT:
            sum_last, sum_re, sum_im = sum_last + (blank,), sum_re + (blank,), sum_im + (blank,)
    groups = (tokens + 2 * GROUP - 1) // (2 * GROUP)
    for group in tl.range(tl.program_id(0).to(tl.int64), groups, tl.num_programs(0)):
        same = group * zero  # see `update_kernel`
        start = group * (2 * GROUP * width)
        h_re, h_im = load_pairs(
            grad + start, group, tokens, last + same, alpha, RADIX, ROWS, COLUMNS, N1, N2, GROUP
        )
        h_re, h_im = butterfly(h_re, h_im, RADIX, -1)
        if OUTPUT:
            u_re, u_im = load_pairs(
                x + start, group, tokens, first + same, 1.0, RADIX, ROWS, COLUMNS, N1, N2, GROUP
            )
            u_re, u_im = butterfly(u_re, u_im, RADIX, -1)
        v_re, v_im, g_re, g_im, new_re, new_im = (), (), (), (), (), ()
        for s in tl.static_range(RADIX):
            hs_re, hs_im = transform(h_re[s], h_im[s], tables + same, s, RADIX, N1, N2, GROUP, PRECISION)
            c_re, c_im = part_of_spectrum(spectrum + same, s, N1, N2, GROUP)
            if OUTPUT:
                us_re, us_im = transform(u_re[s], u_im[s], tables + same, s, RADIX, N1, N2, GROUP, PRECISION)
                new_re = new_re + (sum_re[s] + us_re * hs_re + us_im * hs_im,)
                new_im = new_im + (sum_im[s] + us_re * hs_im - us_im * hs_re,)
                us_re, us_im = us_re * c_re - us_im * c_im, us_re * c_im + us_im * c_re
                us_re, us_im = inverse(us_re, us_im, tables + same, s, RADIX, N1, N2, GROUP, PRECISION)
                v_re, v_im = v_re + (us_re,), v_im + (us_im,)
            if INPUT:
                hs_re, hs_im = hs_re * c_re + hs_im * c_im, hs_im * c_re - hs_re * c_im
                hs_re, hs_im = inverse(hs_re, hs_im, tables + same, s, RADIX, N1, N2, GROUP, PRECISION)
                g_re, g_im = g_re + (hs_re,), g_im + (hs_im,)
        lane, is_one, is_other = tokens_of(group, tokens, N2, GROUP)
        if OUTPUT:
            sum_re, sum_im = new_re, new_im
            v_re, v_im = butterfly(v_re, v_im, RADIX, 1)
            new_last = ()
            for r in tl.static_range(RADIX):
                at, inside = place(r, ROWS, COLUMNS, N1, N2, GROUP)
                row = grad + start + lane * width + at
                one = tl.load(row, mask=inside & is_one, other=0.0).to(tl.float32)
                other = tl.load(row + width, mask=inside & is_other, other=0.0).to(tl.float32)
                new_last = new_last + (sum_last[r] + one * v_re[r] + other * v_im[r],)
            sum_last = new_last
        if INPUT:
            g_re, g_im = butterfly(g_re, g_im, RADIX, 1)
            new_first = ()
            for r in tl.static_range(RADIX):
                at, inside = place(r, ROWS, COLUMNS, N1, N2, GROUP)
                row = start + lane * width + at
                one = tl.load(x + row, mask=inside & is_one, other=0.0).to(tl.float32)
                other = tl.load(x + row + width, mask=inside & is_other, other=0.0).to(tl.float32)
                new_first = new_first + (sum_first[r] + one * g_re[r] + other * g_im[r],)
                if NEEDS_X:
                    factor = tl.load(first + same + at, mask=inside, other=0.0)
                    one, other = g_re[r] * factor, g_im[r] * factor
                    if ADD:
                        one += tl.load(grad_x + row, mask=inside & is_one, other=0.0).to(tl.float32)
                        other += tl.load(grad_x + row + width, mask=inside & is_other, other=0.0).to(
                            tl.float32
                        )
                    tl.store(grad_x + row, one.to(grad_x.dtype.element_ty), mask=inside & is_one)
                    tl.store(grad_x + row + width, other.to(grad_x.dtype.element_ty), mask=inside & is_other)
            sum_first = new_first
    signal = tl.arange(0, GROUP * N2)[None, :] // N2
    share = shares + (tl.program_id(0) * GROUP + signal) * (3 * width)
    if INPUT:
        for r in tl.static_range(RADIX):
            at, inside = place(r, ROWS, COLUMNS, N1, N2, GROUP)
            tl.store(share + at, sum_first[r], mask=inside)
    if OUTPUT:
        back_re, back_im = (), ()
        for s in tl.static_range(RADIX):
            part_re, part_im = inverse(sum_re[s], sum_im[s], tables, s, RADIX, N1, N2, GROUP, PRECISION)
            back_re, back_im = back_re + (part_re,), back_im + (part_im,)
        back_re, back_im = butterfly(back_re, back_im, RADIX, 1)
        for r in tl.static_range(RADIX):
            at, inside = place(r, ROWS, COLUMNS, N1, N2, GROUP)
            tl.store(share + width + at, sum_last[r] * alpha, mask=inside)
            tl.store(share + 2 * width + at, back_re[r] / width, mask=inside)
