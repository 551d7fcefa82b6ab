"""The update and its gradients where a matrix has several circulant blocks, or is not as wide as they are.

Blocks of one row share an input's transform, those of one column an output's: spectra pass memory, so that
q1 q2 blocks take q1 + q2 transforms. As in `device`, a complex signal carries two tokens, and programs
are persistent. Spectra lie by pair of tokens, block, and part.
"""

import triton
import triton.language as tl

from cdvft.kernels.fused.device_rows import (
    groups_of,
    hidden_zero,
    in_64_bits,
    place,
    tokens_of,
)
from cdvft.kernels.fused.dft import (
    butterfly,
    inverse,
    part_of_spectrum,
    spectrum_place,
    transform,
)


@triton.jit
def spectra_kernel(
    spectra, rows, diagonal, tables, scale, tokens, size, zero,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr,
    GROUP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """FFT(scale diagonal * rows), blockwise; rows (tokens, size), zeros from `size` to the blocks' end."""
    p: tl.constexpr = RADIX * ROWS * COLUMNS
    tile: tl.constexpr = N1 * N2
    block, blocks = tl.program_id(1), tl.num_programs(1)
    groups = groups_of(tokens, GROUP)
    for group in tl.range(tl.program_id(0), groups, tl.num_programs(0)):
        same = hidden_zero(group, zero)
        lane, is_one, is_other = tokens_of(group, tokens, N2, GROUP)
        re, im = (), ()
        for r in tl.static_range(RADIX):
            at, inside = place(r, same, ROWS, COLUMNS, N1, N2, GROUP)
            at += block * p
            inside = inside & (at < size)
            factor = tl.load(diagonal + at, mask=inside, other=0.0) * scale
            row = rows + in_64_bits(group) * (2 * GROUP) * size + lane * size + at
            one = tl.load(row, mask=inside & is_one, other=0.0).to(tl.float32)
            other = tl.load(row + size, mask=inside & is_other, other=0.0).to(tl.float32)
            re, im = re + (one * factor,), im + (other * factor,)
        re, im = butterfly(re, im, RADIX, -1)
        entry, signal = spectrum_place(N1, N2, GROUP)
        start = spectra + ((in_64_bits(group) * GROUP + signal) * blocks + block) * (2 * RADIX * tile) + entry
        for s in tl.static_range(RADIX):
            part_re, part_im = transform(re[s], im[s], tables + same, s, RADIX, N1, N2, GROUP, PRECISION)
            tl.store(start + 2 * s * tile, part_re)
            tl.store(start + (2 * s + 1) * tile, part_im)


@triton.jit
def combine_kernel(
    out, shares, others, spectra, c, diagonal, bias, tables, alpha, tokens, size, inner, by_outer, by_inner,
    zero,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr,
    GROUP: tl.constexpr, CONJUGATE: tl.constexpr, STORE: tl.constexpr, ADD: tl.constexpr, BIAS: tl.constexpr,
    SHARE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """v = IFFT(sum over inner blocks of spectra * c), or of conj(c); out = alpha diagonal * v.

    ADD asks for that plus what is there, BIAS plus a bias.
    SHARE asks for the program's share of sum over tokens of others * v: (programs, GROUP, blocks p).
    by_outer, by_inner: steps between circulants of c, whose spectra are FFT(c) / p.
    """
    p: tl.constexpr = RADIX * ROWS * COLUMNS
    tile: tl.constexpr = N1 * N2
    block, blocks = tl.program_id(1), tl.num_programs(1)
    entry, signal = spectrum_place(N1, N2, GROUP)
    blank = tl.full((N1, GROUP * N2), 0.0, tl.float32)
    sums = ()
    for _ in tl.static_range(RADIX):
        sums = sums + (blank,)
    groups = groups_of(tokens, GROUP)
    for group in tl.range(tl.program_id(0), groups, tl.num_programs(0)):
        same = hidden_zero(group, zero)
        re, im = (), ()
        for _ in tl.static_range(RADIX):
            re, im = re + (blank,), im + (blank,)
        tl.assume(inner > 0)  # as `groups_of`
        for j in tl.range(0, inner):
            u = spectra + ((in_64_bits(group) * GROUP + signal) * inner + j) * (2 * RADIX * tile) + entry
            circulant = c + same + (block * by_outer + j * by_inner) * (2 * RADIX * tile)
            new_re, new_im = (), ()
            for s in tl.static_range(RADIX):
                u_re, u_im = tl.load(u + 2 * s * tile), tl.load(u + (2 * s + 1) * tile)
                c_re, c_im = part_of_spectrum(circulant, s, N1, N2, GROUP)
                if CONJUGATE:
                    c_im = -c_im
                new_re = new_re + (re[s] + u_re * c_re - u_im * c_im,)
                new_im = new_im + (im[s] + u_re * c_im + u_im * c_re,)
            re, im = new_re, new_im
        back_re, back_im = (), ()
        for s in tl.static_range(RADIX):
            part_re, part_im = inverse(re[s], im[s], tables + same, s, RADIX, N1, N2, GROUP, PRECISION)
            back_re, back_im = back_re + (part_re,), back_im + (part_im,)
        back_re, back_im = butterfly(back_re, back_im, RADIX, 1)
        lane, is_one, is_other = tokens_of(group, tokens, N2, GROUP)
        new_sums = ()
        for r in tl.static_range(RADIX):
            at, inside = place(r, same, ROWS, COLUMNS, N1, N2, GROUP)
            at += block * p
            inside = inside & (at < size)
            row = in_64_bits(group) * (2 * GROUP) * size + lane * size + at
            if SHARE:
                one = tl.load(others + row, mask=inside & is_one, other=0.0).to(tl.float32)
                other = tl.load(others + row + size, mask=inside & is_other, other=0.0).to(tl.float32)
                new_sums = new_sums + (sums[r] + one * back_re[r] + other * back_im[r],)
            if STORE:
                factor = tl.load(diagonal + at, mask=inside, other=0.0) * alpha
                one, other = back_re[r] * factor, back_im[r] * factor
                if BIAS:
                    shift = tl.load(bias + at, mask=inside, other=0.0).to(tl.float32)
                    one, other = one + shift, other + shift
                if ADD:
                    one += tl.load(out + row, mask=inside & is_one, other=0.0).to(tl.float32)
                    other += tl.load(out + row + size, mask=inside & is_other, other=0.0).to(tl.float32)
                tl.store(out + row, one.to(out.dtype.element_ty), mask=inside & is_one)
                tl.store(out + row + size, other.to(out.dtype.element_ty), mask=inside & is_other)
        if SHARE:
            sums = new_sums
    if SHARE:
        lane = tl.arange(0, GROUP * N2)[None, :] // N2
        after = hidden_zero(groups, zero)  # as in `device`
        share = shares + ((tl.program_id(0) * GROUP + lane) * blocks + block) * p
        for r in tl.static_range(RADIX):
            at, inside = place(r, after, ROWS, COLUMNS, N1, N2, GROUP)
            tl.store(share + at, sums[r], mask=inside)


@triton.jit
def correlate_kernel(
    shares, u, h, pairs, q1, q2, ENTRIES: tl.constexpr, TILE: tl.constexpr, STRIP: tl.constexpr
):  # fmt: skip
    """A program's share of sum over pairs of conj(u_j) h_i: (programs, q1, q2), spectra as they lie."""
    i, j = tl.program_id(1) // q2, tl.program_id(1) % q2
    at = tl.program_id(2) * STRIP + tl.arange(0, STRIP)
    at += at // TILE * TILE
    re, im = tl.full((STRIP,), 0.0, tl.float32), tl.full((STRIP,), 0.0, tl.float32)
    for pair in tl.range(tl.program_id(0).to(tl.int64), pairs, tl.num_programs(0)):
        u_at, h_at = u + (pair * q2 + j) * (2 * ENTRIES) + at, h + (pair * q1 + i) * (2 * ENTRIES) + at
        u_re, u_im, h_re, h_im = tl.load(u_at), tl.load(u_at + TILE), tl.load(h_at), tl.load(h_at + TILE)
        re += u_re * h_re + u_im * h_im
        im += u_re * h_im - u_im * h_re
    share = shares + (tl.program_id(0) * q1 * q2 + tl.program_id(1)) * (2 * ENTRIES) + at
    tl.store(share, re)
    tl.store(share + TILE, im)
