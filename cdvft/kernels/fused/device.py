"""The update and its gradients as one kernel each, in Triton: nothing but inputs and outputs passes memory.

One complex signal carries two tokens: circ(c) is real, so that the parts never mix and nothing is unpacked,
not even for the circulant's gradient, which is the real part of an inverse transform. Programs are
persistent: each takes every so many groups of tokens, adds its share of the vectors' gradients in registers,
and writes it once; `operators` adds the programs' shares in a fixed order.

Everything here and in `dft` is in Triton's language alone, so that its interpreter runs it on any machine.
"""

import triton
import triton.language as tl

from cdvft.kernels.fused.device_rows import (
    add_products,
    groups_of,
    hidden_zero,
    in_64_bits,
    load_pairs,
    over_signals,
    place,
    store_pairs,
)
from cdvft.kernels.fused.dft import (
    butterfly,
    entries_of,
    inverse,
    one_spectrum_place,
    part_of_spectrum,
    transform,
)


@triton.jit
def spectrum_kernel(
    spectrum, c, tables,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr,
    GROUP: tl.constexpr,
):  # fmt: skip
    """FFT(c) / d, a program each circulant: parts s of tiles, real before imaginary."""
    c += tl.program_id(0) * (RADIX * ROWS * COLUMNS)
    spectrum += tl.program_id(0) * (2 * RADIX * N1 * N2)
    re, im = (), ()
    for r in tl.static_range(RADIX):
        at, inside = place(r, 0, ROWS, COLUMNS, N1, N2, 1)
        re = re + (tl.load(c + at, mask=inside, other=0.0) / (RADIX * ROWS * COLUMNS),)
        im = im + (tl.full((N1, N2), 0.0, tl.float32),)
    re, im = butterfly(re, im, RADIX, -1)
    for s in tl.static_range(RADIX):
        part_re, part_im = transform(re[s], im[s], tables, s, RADIX, N1, N2, 1, "tf32x3")
        at = spectrum + 2 * s * N1 * N2 + one_spectrum_place(N1, N2, GROUP)
        tl.store(at, part_re)
        tl.store(at + N1 * N2, part_im)


@triton.jit
def signal_kernel(
    c, spectrum, tables,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr,
    GROUP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Re IFFT(spectrum), a program each circulant."""
    c += tl.program_id(0) * (RADIX * ROWS * COLUMNS)
    spectrum += tl.program_id(0) * (2 * RADIX * N1 * N2)
    re, im = (), ()
    for s in tl.static_range(RADIX):
        at = spectrum + 2 * s * N1 * N2 + one_spectrum_place(N1, N2, GROUP)
        part_re, part_im = tl.load(at), tl.load(at + N1 * N2)
        part_re, part_im = inverse(part_re, part_im, tables, s, RADIX, N1, N2, 1, PRECISION)
        re, im = re + (part_re,), im + (part_im,)
    re, im = butterfly(re, im, RADIX, 1)
    for r in tl.static_range(RADIX):
        at, inside = place(r, 0, ROWS, COLUMNS, N1, N2, 1)
        tl.store(c + at, re[r] / (RADIX * ROWS * COLUMNS), mask=inside)


@triton.jit
def update_kernel(
    out, x, first, last, bias, spectrum, tables, alpha, tokens, zero,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr,
    GROUP: tl.constexpr, ADD: tl.constexpr, BIAS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """out = alpha last * IFFT(spectrum * FFT(first * x)), plus what is there, or a bias, if asked."""
    width: tl.constexpr = RADIX * ROWS * COLUMNS
    groups = groups_of(tokens, GROUP)
    for group in tl.range(tl.program_id(0), groups, tl.num_programs(0)):
        same = hidden_zero(group, zero)
        start = in_64_bits(group) * (2 * GROUP * width)
        re, im = load_pairs(x + start, group, tokens, first, 1.0, same, RADIX, ROWS, COLUMNS, N1, N2, GROUP)
        re, im = butterfly(re, im, RADIX, -1)
        back_re, back_im = (), ()
        for s in tl.static_range(RADIX):
            part_re, part_im = transform(re[s], im[s], tables + same, s, RADIX, N1, N2, GROUP, PRECISION)
            c_re, c_im = part_of_spectrum(spectrum + same, s, N1, N2, GROUP)
            part_re, part_im = part_re * c_re - part_im * c_im, part_re * c_im + part_im * c_re
            part_re, part_im = inverse(part_re, part_im, tables + same, s, RADIX, N1, N2, GROUP, PRECISION)
            back_re, back_im = back_re + (part_re,), back_im + (part_im,)
        re, im = butterfly(back_re, back_im, RADIX, 1)
        store_pairs(
            out + start, re, im, group, tokens, last, alpha, bias, same,
            RADIX, ROWS, COLUMNS, N1, N2, GROUP, ADD, BIAS,
        )  # fmt: skip


@triton.jit
def gradients_kernel(
    grad_x, shares, x, grad, first, last, spectrum, tables, alpha, tokens, zero,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr,
    GROUP: tl.constexpr, RELOAD: tl.constexpr, INPUT: tl.constexpr, OUTPUT: tl.constexpr,
    NEEDS_X: tl.constexpr, ADD: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Gradients of the loss, given that by the update: by x whole, by the vectors a program's share.

    With u = first x, h = alpha last grad, U and H their spectra, v = IFFT(C U), g_u = IFFT(conj(C) H), and
    sums over tokens: g_x = first g_u, g_first = sum x g_u, g_last = alpha sum grad v,
    g_c = Re IFFT(sum conj(U) H).
    RELOAD reads tokens again, from the cache, for each part of their spectra, rather than keep them.
    INPUT asks for the first two, OUTPUT for the others: both at once where registers hold all.
    shares: (programs, 2 d + 2 RADIX N1 N2): first, last, and of c the sum itself, as `spectrum_kernel` has
    spectra; the inverse transform is `signal_kernel`'s.
    """
    width: tl.constexpr = RADIX * ROWS * COLUMNS
    blanks = ()
    for _ in tl.static_range(RADIX):
        blanks = blanks + (tl.full((N1, GROUP * N2), 0.0, tl.float32),)
    sum_first, sum_last, sum_re, sum_im = blanks, blanks, blanks, blanks
    groups = groups_of(tokens, GROUP)
    for group in tl.range(tl.program_id(0), groups, tl.num_programs(0)):
        same = hidden_zero(group, zero)
        ordered = (same == 0) | (RADIX <= GROUP)  # always true: with few parts the compiler may know it
        start = in_64_bits(group) * (2 * GROUP * width)
        h_re, h_im, u_re, u_im = blanks, blanks, blanks, blanks
        v_re, v_im, g_re, g_im, new_re, new_im = (), (), (), (), (), ()
        for s in tl.static_range(RADIX):
            if s == 0 or RELOAD:  # noqa: SIM102, for it is known when compiled
                if ordered:
                    h_re, h_im = load_pairs(
                        grad + start, group, tokens, last, alpha, same, RADIX, ROWS, COLUMNS, N1, N2, GROUP
                    )
                    h_re, h_im = butterfly(h_re, h_im, RADIX, -1)
                    if OUTPUT:
                        u_re, u_im = load_pairs(
                            x + start, group, tokens, first, 1.0, same, RADIX, ROWS, COLUMNS, N1, N2, GROUP
                        )
                        u_re, u_im = butterfly(u_re, u_im, RADIX, -1)
            hs_re, hs_im = transform(h_re[s], h_im[s], tables + same, s, RADIX, N1, N2, GROUP, PRECISION)
            if OUTPUT:
                us_re, us_im = transform(u_re[s], u_im[s], tables + same, s, RADIX, N1, N2, GROUP, PRECISION)
                to_re, to_im = sum_re[s], sum_im[s]
                if ordered:
                    to_re += us_re * hs_re + us_im * hs_im
                    to_im += us_re * hs_im - us_im * hs_re
                new_re, new_im = new_re + (to_re,), new_im + (to_im,)
                c_re, c_im = part_of_spectrum(spectrum + same, s, N1, N2, GROUP)
                us_re, us_im = us_re * c_re - us_im * c_im, us_re * c_im + us_im * c_re
                us_re, us_im = inverse(us_re, us_im, tables + same, s, RADIX, N1, N2, GROUP, PRECISION)
                v_re, v_im = v_re + (us_re,), v_im + (us_im,)
            if INPUT:
                c_re, c_im = part_of_spectrum(spectrum + same, s, N1, N2, GROUP)
                hs_re, hs_im = hs_re * c_re + hs_im * c_im, hs_im * c_re - hs_re * c_im
                hs_re, hs_im = inverse(hs_re, hs_im, tables + same, s, RADIX, N1, N2, GROUP, PRECISION)
                g_re, g_im = g_re + (hs_re,), g_im + (hs_im,)
        if OUTPUT:
            sum_re, sum_im = new_re, new_im
            if ordered:
                v_re, v_im = butterfly(v_re, v_im, RADIX, 1)
                sum_last = add_products(
                    sum_last, grad + start, v_re, v_im, group, tokens, same,
                    RADIX, ROWS, COLUMNS, N1, N2, GROUP,
                )  # fmt: skip
        if INPUT:
            g_re, g_im = butterfly(g_re, g_im, RADIX, 1)
            sum_first = add_products(
                sum_first, x + start, g_re, g_im, group, tokens, same,
                RADIX, ROWS, COLUMNS, N1, N2, GROUP,
            )  # fmt: skip
            if NEEDS_X:
                store_pairs(
                    grad_x + start, g_re, g_im, group, tokens, first, 1.0, first, same,
                    RADIX, ROWS, COLUMNS, N1, N2, GROUP, ADD, False,
                )  # fmt: skip
    after = hidden_zero(groups, zero)  # else addresses of before the loop are kept for here
    share = shares + (tl.program_id(0) + after) * (2 * width + 2 * RADIX * N1 * N2)
    for r in tl.static_range(RADIX):
        at, inside = place(r, after, ROWS, COLUMNS, N1, N2, 1)
        if INPUT:
            tl.store(share + at, over_signals(sum_first[r], N1, N2, GROUP), mask=inside)
        if OUTPUT:
            tl.store(share + width + at, over_signals(sum_last[r], N1, N2, GROUP) * alpha, mask=inside)
    if OUTPUT:
        rows: tl.constexpr = N1 if GROUP == 1 else N2  # of spectra, as `transform` leaves them
        columns: tl.constexpr = N2 if GROUP == 1 else N1
        for s in tl.static_range(RADIX):
            part = share + 2 * width + 2 * s * N1 * N2 + entries_of(rows, columns) + after
            tl.store(part, over_signals(sum_re[s], rows, columns, GROUP))
            tl.store(part + N1 * N2, over_signals(sum_im[s], rows, columns, GROUP))
