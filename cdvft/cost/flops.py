"""Floating-point operations of one adapted layer, by method, in two counting conventions.

`real_fft` counts the operations that the methods need:

- a multiply-add 2; a product of two real tensors 1 an entry, of two complex ones 6; accumulating k > 1 of
  them 8 k, for a complex addition is 2 and torch counts a sum of k terms as k additions;
- an FFT of real input, or to real output, of length n: 2.5 n log2 n; a complex one 5 n log2 n; a complex
  two-dimensional one of n1 x n2: 5 n1 n2 log2(n1 n2);
- not counted, for any method: scaling by a constant, adding the branch to the frozen output and its input
  gradient to the frozen one, copies, casts, the optimizer. All methods pay these alike but the optimizer's,
  which grow with the trained numbers; DoRA's W + B A and its norms, 4 d_in d_out a step, are not counted
  either.

`asymptotic` is the style of papers: an FFT of N entries is N log2 N, products of spectra are dropped, the FFT
of the circulant is charged to every token, and backward is twice forward. A method without FFTs counts as by
`real_fft`. On RoBERTa-base with 256 tokens FourierFT then needs 51.8 times the FLOPs of CDVFT, as Ding et al.
(IJCAI 2025) state; their accounting we do not have. With `real_fft` the forward ratio tends to about 29 as
tokens grow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cdvft.blocks import Partition, partitions
from cdvft.cost.shape import Shape


@dataclass(frozen=True)
class Flops:
    """Operations of one layer: paid once a step whatever the batch, and paid for every token."""

    forward_fixed: float = 0.0
    forward_per_token: float = 0.0
    backward_fixed: float = 0.0
    backward_per_token: float = 0.0


def real_fft_flops(n: int) -> float:
    """Return the operations of an FFT of length n with real input or output: 2.5 n log2 n."""
    return 2.5 * n * math.log2(n)


def complex_fft_flops(n: int) -> float:
    """Return the operations of a complex FFT of n entries in all, in one or two dimensions: 5 n log2 n."""
    return 5.0 * n * math.log2(n)


def complex_products(outputs: int, terms: int) -> float:
    """`outputs` complex sums of `terms` products: 6 each, or 8 a term where terms are accumulated."""
    return outputs * (6.0 if terms == 1 else 8.0 * terms)


def lora(shape: Shape, r: int) -> Flops:
    """B (A x): 2 r (d_in + d_out) a token forward; gradients of B, A x, A and x, the double, backward.

    Autograd leaves out the gradient of x, 2 r d_in, where it goes nowhere.
    """
    forward = 2.0 * r * (shape.d_in + shape.d_out)
    return Flops(
        forward_per_token=forward, backward_per_token=2 * forward - _unneeded(shape, 2.0 * r * shape.d_in)
    )


def dora(shape: Shape, r: int) -> Flops:
    """LoRA with a magnitude m for each row: m (W + B A) / ||W + B A||, as PEFT runs it.

    B A is built every step for its norms, from a d_in x d_in identity: 2 r d_in (d_in + d_out); they count as
    constants, so nothing goes back through them. A token pays 2 d_out more forward, for the scaled frozen
    output and the scaled B A x; backward 2 d_out for the gradient of B A x and of the frozen output, and
    4 d_out for that of the magnitudes, summed over tokens.
    """
    low = lora(shape, r)
    return Flops(
        forward_fixed=2.0 * r * shape.d_in * (shape.d_in + shape.d_out),
        forward_per_token=low.forward_per_token + 2.0 * shape.d_out,
        backward_per_token=low.backward_per_token + 6.0 * shape.d_out - _unneeded(shape, shape.d_out),
    )


def vera(shape: Shape, r: int) -> Flops:
    """b * (B (d * (A x))) with A and B frozen: 2 r (d_in + d_out) + r + d_out a token forward.

    Backward the same once more for the gradients of what lies between, and 2 r + 2 d_out for those of d and
    b, summed over tokens. Where the gradient of x goes nowhere, 2 r d_in and the r before it are spared.
    """
    forward = 2.0 * r * (shape.d_in + shape.d_out) + r + shape.d_out
    return Flops(
        forward_per_token=forward,
        backward_per_token=forward + 2.0 * (r + shape.d_out) - _unneeded(shape, 2.0 * r * shape.d_in + r),
    )


def fourierft(shape: Shape) -> Flops:
    """dW = Re ifft2(S) is built every step (and differentiated by one more 2-D FFT), then applied densely.

    A token pays 2 d_out d_in forward, and as much again for the gradient of dW and for that of x, unless it
    goes nowhere.
    """
    build, product = complex_fft_flops(shape.weights), 2.0 * shape.weights
    return Flops(build, product, build, 2 * product - _unneeded(shape, product))


def c3a(shape: Shape, block_size: int) -> Flops:
    """C3A as PEFT runs it: two-sided spectra; x and gradients are transformed as real, results as complex."""
    part = Partition(shape.d_out, shape.d_in, block_size)
    b, q1, q2 = part.p, part.q1, part.q2
    real, full = real_fft_flops(b), complex_fft_flops(b)
    return Flops(
        forward_fixed=q1 * q2 * real,
        forward_per_token=q2 * real + q1 * full + complex_products(q1 * b, q2),
        backward_fixed=q1 * q2 * (real + full),
        backward_per_token=(q1 + q2) * real  # spectra of the gradient, and of x once more
        + q2 * full
        + complex_products(q2 * b, q1)  # gradient of x
        + 8.0 * q1 * q2 * b,  # gradient of the kernel, summed over tokens
    )


def cdvft(shape: Shape, m: int, block_size: int | None) -> Flops:
    """Count the chain x -> a_1 x -> circ(c_2) ... -> a_{2m-1}, which backward computes again from x.

    For a square layer and m = 2 a token pays 2 real FFTs, d/2 + 1 complex products and 2 d real ones forward;
    backward 4 real FFTs: of a_1 x and the output gradient, and back to circ(c) a_1 x and the gradient of x.
    Where that goes nowhere, only its last product, with a_1, is spared: the gradient of a_1 needs the rest.

    Of each circulant's kernel one FFT is counted forward and one backward, the inverse for its gradient, as
    torch's transforms on a CPU do, which keep the spectrum. The other engines transform the kernel once more
    in backward: an FFT a step, whatever the number of tokens.
    """
    parts = partitions(shape.d_out, shape.d_in, m, block_size)
    kernels = sum(part.q1 * part.q2 * real_fft_flops(part.p) for part in parts)
    diagonals = float(shape.d_in + (m - 1) * shape.d_out)
    forward = diagonals + sum(_circulant(part) for part in parts)
    again = forward - shape.d_out  # the last product is not needed
    gradients = 3 * diagonals + sum(_circulant_gradient(part) for part in parts)
    return Flops(kernels, forward, kernels, again + gradients - _unneeded(shape, shape.d_in))


def _circulant(part: Partition) -> float:
    """q2 FFTs in, q1 back, and the block product of half spectra between."""
    return (part.q1 + part.q2) * real_fft_flops(part.p) + complex_products(part.q1 * _bins(part), part.q2)


def _circulant_gradient(part: Partition) -> float:
    """q1 FFTs of the output gradient, the transposed product, q2 FFTs back, and the kernel's gradient."""
    back = (part.q1 + part.q2) * real_fft_flops(part.p) + complex_products(part.q2 * _bins(part), part.q1)
    return back + 8.0 * part.parameters / part.p * _bins(part)


def _unneeded(shape: Shape, flops: float) -> float:
    """Return `flops`, those of the gradient by the layer's input, where nothing needs it; 0 elsewhere."""
    return 0.0 if shape.input_gradient else flops


def _bins(part: Partition) -> int:
    return part.p // 2 + 1


def dense(shape: Shape, forward: bool) -> Flops:
    """A trained weight: 2 d_out d_in a token for its gradient, and for its product where that is extra too.

    A bias adds d_out, its gradient's sum over tokens.
    """
    product = 2.0 * shape.weights
    return Flops(
        forward_per_token=product if forward else 0.0,
        backward_per_token=product + (shape.d_out if shape.bias else 0),
    )


def asymptotic_fourierft(shape: Shape) -> Flops:
    """d_out d_in log2(d_out d_in) a step to build dW, 2 d_out d_in a token to apply it."""
    return _twice_backward(shape.weights * math.log2(shape.weights), 2.0 * shape.weights)


def asymptotic_circulant(parts: tuple[Partition, ...], diagonals: int) -> Flops:
    """Count (q1 q2 + q1 + q2) p log2 p a circulant for a token, and one product an entry of each diagonal.

    For CDVFT on a square layer with m = 2 that is 3 d log2 d + 2 d; C3A has no diagonals.
    """
    ffts = sum((q.q1 * q.q2 + q.q1 + q.q2) * q.p * math.log2(q.p) for q in parts)
    return _twice_backward(0.0, ffts + diagonals)


def _twice_backward(fixed: float, per_token: float) -> Flops:
    return Flops(fixed, per_token, 2 * fixed, 2 * per_token)
