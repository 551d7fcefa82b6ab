"""The kernels of `device` for several layers that are given the same tokens, in one launch, in Triton.

Programs have two indices: which of its layer's programs, and which layer. What the layers have of their own
comes as tuples of pointers, one a layer, so that nothing need be copied into one piece.
"""

import triton
import triton.language as tl

from cdvft.kernels.fused.device import gradients_kernel, signal_kernel, spectrum_kernel, update_kernel


@triton.jit
def of_layer(tensors, layer):
    """The layer's pointer."""
    found = tensors[0]
    for n in tl.static_range(1, len(tensors)):
        found = tl.where(layer == n, tensors[n], found)
    return found


@triton.jit
def group_spectrum_kernel(
    spectra, circulants, tables,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr,
    GROUP: tl.constexpr,
):  # fmt: skip
    """`spectrum_kernel`, a program each layer; spectra: (layers, 2 RADIX N1 N2)."""
    layer = tl.program_id(1)
    spectrum_kernel(
        spectra + layer * (2 * RADIX * N1 * N2), of_layer(circulants, layer), tables,
        RADIX, ROWS, COLUMNS, N1, N2, GROUP,
    )  # fmt: skip


@triton.jit
def group_signal_kernel(
    circulants, spectra, tables, step,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr,
    GROUP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """`signal_kernel`, a program each layer; circulants: (layers, d), spectra `step` entries apart."""
    layer = tl.program_id(1)
    signal_kernel(
        circulants + layer * (RADIX * ROWS * COLUMNS), spectra + layer * step, tables,
        RADIX, ROWS, COLUMNS, N1, N2, GROUP, PRECISION,
    )  # fmt: skip


@triton.jit
def group_update_kernel(
    outs, x, firsts, lasts, biases, spectra, tables, alpha, tokens, zero,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr,
    GROUP: tl.constexpr, BIAS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """`update_kernel` of each layer, of the same x."""
    layer = tl.program_id(1)
    update_kernel(
        of_layer(outs, layer), x, of_layer(firsts, layer), of_layer(lasts, layer), of_layer(biases, layer),
        spectra + layer * (2 * RADIX * N1 * N2), tables, alpha, tokens, zero,
        RADIX, ROWS, COLUMNS, N1, N2, GROUP, False, BIAS, PRECISION,
    )  # fmt: skip


@triton.jit
def group_gradients_kernel(
    grad_xs, shares, x, grads, firsts, lasts, spectra, tables, alpha, tokens, zero,
    RADIX: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, N1: tl.constexpr, N2: tl.constexpr,
    GROUP: tl.constexpr, RELOAD: tl.constexpr, INPUT: tl.constexpr, OUTPUT: tl.constexpr,
    NEEDS_X: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """`gradients_kernel` of each layer, of the same x.

    grad_xs: (layers, tokens, d), by x through each layer
    shares: (layers, programs, 2 d + 2 RADIX N1 N2)
    """
    width: tl.constexpr = RADIX * ROWS * COLUMNS
    layer = tl.program_id(1)
    gradients_kernel(
        grad_xs + layer.to(tl.int64) * tokens * width,
        shares + layer * tl.num_programs(0) * (2 * width + 2 * RADIX * N1 * N2),
        x, of_layer(grads, layer), of_layer(firsts, layer), of_layer(lasts, layer),
        spectra + layer * (2 * RADIX * N1 * N2), tables, alpha, tokens, zero,
        RADIX, ROWS, COLUMNS, N1, N2, GROUP, RELOAD, INPUT, OUTPUT, NEEDS_X, False, PRECISION,
    )  # fmt: skip
