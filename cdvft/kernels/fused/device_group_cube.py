"""The kernels of `device_cube` for several layers that are given the same tokens: see `device_group`."""

import triton
import triton.language as tl

from cdvft.kernels.fused.device_cube import (
    WIDTH,
    circulant_gradient_kernel,
    input_gradients_kernel,
    last_gradient_kernel,
    signal_kernel,
    spectrum_kernel,
    update_kernel,
)
from cdvft.kernels.fused.device_group import of_layer


@triton.jit
def group_spectrum_kernel(spectra, circulants, tables):
    """`spectrum_kernel`, a program each layer; spectra: (layers, 2, 4096)."""
    layer = tl.program_id(1)
    spectrum_kernel(spectra + layer * (2 * WIDTH), of_layer(circulants, layer), tables)


@triton.jit
def group_signal_kernel(circulants, spectra, tables, PRECISION: tl.constexpr):
    """`signal_kernel`, a program each layer; circulants: (layers, 4096), spectra: (layers, 2, 4096)."""
    layer = tl.program_id(1)
    signal_kernel(circulants + layer * WIDTH, spectra + layer * (2 * WIDTH), tables, PRECISION)


@triton.jit
def group_update_kernel(
    outs, x, firsts, lasts, biases, spectra, tables, alpha, tokens, zero,
    BIAS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """`update_kernel` of each layer, of the same x."""
    layer = tl.program_id(1)
    update_kernel(
        of_layer(outs, layer), x, of_layer(firsts, layer), of_layer(lasts, layer), of_layer(biases, layer),
        spectra + layer * (2 * WIDTH), tables, alpha, tokens, zero, False, BIAS, PRECISION,
    )  # fmt: skip


@triton.jit
def group_input_gradients_kernel(
    grad_xs, shares, x, grads, firsts, lasts, spectra, tables, alpha, tokens, zero,
    NEEDS_X: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """`input_gradients_kernel` of each layer.

    grad_xs: (layers, tokens, 4096), shares: (layers, programs, 4096)
    """
    layer = tl.program_id(1)
    input_gradients_kernel(
        grad_xs + layer.to(tl.int64) * tokens * WIDTH, shares + layer * tl.num_programs(0) * WIDTH, x,
        of_layer(grads, layer), of_layer(firsts, layer), of_layer(lasts, layer),
        spectra + layer * (2 * WIDTH), tables, alpha, tokens, zero, NEEDS_X, False, PRECISION,
    )  # fmt: skip


@triton.jit
def group_last_gradient_kernel(
    shares, x, grads, firsts, spectra, tables, alpha, tokens, zero, PRECISION: tl.constexpr
):
    """`last_gradient_kernel` of each layer; shares: (layers, programs, 4096)."""
    layer = tl.program_id(1)
    last_gradient_kernel(
        shares + layer * tl.num_programs(0) * WIDTH, x, of_layer(grads, layer), of_layer(firsts, layer),
        spectra + layer * (2 * WIDTH), tables, alpha, tokens, zero, PRECISION,
    )  # fmt: skip


@triton.jit
def group_circulant_gradient_kernel(
    shares, x, grads, firsts, lasts, tables, alpha, tokens, zero, PRECISION: tl.constexpr
):
    """`circulant_gradient_kernel` of each layer; shares: (layers, programs, 2, 4096)."""
    layer = tl.program_id(1)
    circulant_gradient_kernel(
        shares + layer * tl.num_programs(0) * (2 * WIDTH), x, of_layer(grads, layer),
        of_layer(firsts, layer), of_layer(lasts, layer), tables, alpha, tokens, zero, PRECISION,
    )  # fmt: skip
