"""The adapted linear layer as a function, with backends that give the same result up to rounding.

"fft" transforms a few tokens at a time, by `native`, or by `chunked` where `native` does not support the
layer; "fused" uses the Triton kernels where they support it; "merged" builds a temporary dense update;
"reference" is the formula in plain torch, left to autograd. "auto" lets `engine_choice` choose.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from cdvft.circulant import Factors, delta_weight
from cdvft.kernels import fused
from cdvft.kernels.allowed_engines import is_allowed, requested_engines
from cdvft.kernels.autograd_ops import (
    HALF,
    AdaptedLinearFunction,
    Options,
    add_to_base_output,
    autocast_dtype,
    forward,
    product_dtype,
    reference,
)
from cdvft.kernels.cost_model import BACKENDS, Backend
from cdvft.kernels.engine_choice import Selection, select
from cdvft.kernels.merge_precision import update_survives_rounding
from cdvft.private_names import is_traced, is_transformed


def cd_linear(
    x: Tensor,
    diagonals: Sequence[Tensor],
    circulants: Sequence[Tensor],
    alpha: float,
    backend: Backend = "auto",
) -> Tensor:
    """alpha dW x with dW = diag(a_{2m-1}) circ(c_{2m-2}) ... circ(c_2) diag(a_1).

    The arithmetic is float32, or float64 where an argument is: there is no bfloat16 FFT, and an update that
    is a thousand times smaller than its weight must not be lost. Only "merged", and only off the CPU,
    multiplies half-precision inputs in their own dtype. Off the CPU autocast casts x, as for any linear
    layer. Backward saves x unchanged, shared with every layer that reads the same x, recomputes the rest, and
    can itself be differentiated.

    Args:
        x: (..., d_in)
        diagonals: m vectors in the order in which they are applied: (d_in), then (d_out) each
        circulants: m - 1 tensors (q1, q2, p), the first d_in -> d_out, later ones d_out -> d_out
        alpha: scale of the update
        backend: one of `BACKENDS`

    Returns:
        (..., d_out), in the dtype of the arithmetic
    """
    factors = Factors(diagonals, circulants, alpha)
    return _apply(x.to(autocast_dtype(x) or x.dtype), None, None, factors, backend)


def adapted_linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, factors: Factors, backend: Backend | Selection = "auto"
) -> Tensor:
    """(W + alpha dW) x + b in one step: the update is added in place, or to a temporary copy of the weight.

    In half precision the sum of products starts from alpha dW x + b, which is rounded to that precision, and
    is rounded once more: added to an output that is already rounded, most of an update that is a thousand
    times smaller would be lost, as it still is beside a bias that is a thousand times larger. Off the CPU an
    update that is large enough (`merge_precision`) is added to the weight instead, which leaves one product.
    Two steps remain where the weight or bias is trained, or dtypes differ. Off the CPU autocast casts x,
    weight and bias first.

    Args:
        x: (..., d_in)
        weight: (d_out, d_in)
        bias: (d_out)
        factors: as `cd_linear` takes them
        backend: one of `BACKENDS`, or an engine and plan

    Returns:
        (..., d_out), in the dtype of x if the weight has it too, otherwise in that of the arithmetic
    """
    if dtype := autocast_dtype(x):
        x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    if not _in_one_step(x, weight, bias, factors):
        same_half = x.dtype == weight.dtype in HALF
        update = _apply(x, None, None, factors, backend, in_input_dtype=same_half)
        return add_to_base_output(update, x, weight, bias)
    return _apply(x, weight, bias, factors, backend)


def cd_linear_reference(
    x: Tensor, diagonals: Sequence[Tensor], circulants: Sequence[Tensor], alpha: float
) -> Tensor:
    """Return the reference for `cd_linear`: same arguments, same result, every operation left to autograd."""
    return cd_linear(x, diagonals, circulants, alpha, backend="reference")


def is_separate_update(x: Tensor, weight: Tensor, bias: Tensor | None, factors: Factors) -> bool:
    """Whether `adapted_linear` computes the update by itself, not within the product with the weight."""
    if not _in_one_step(x, weight, bias, factors):
        return True
    return weight.dtype in HALF and not _is_merged_in_half(x, weight, factors)


def _in_one_step(x: Tensor, weight: Tensor, bias: Tensor | None, factors: Factors) -> bool:
    trains = weight.requires_grad or (bias is not None and bias.requires_grad)
    return not trains and x.dtype == weight.dtype in (*HALF, arithmetic_dtype(x, factors))


def _is_merged_in_half(x: Tensor, weight: Tensor, factors: Factors) -> bool:
    """Return whether W + alpha dW is multiplied in half precision."""
    return product_dtype(x, torch.float32) in HALF and update_survives_rounding(weight, factors)


def _apply(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    factors: Factors,
    backend: Backend | Selection,
    *,
    in_input_dtype: bool = False,
) -> Tensor:
    """(W + alpha dW) x + b, or alpha dW x without a weight; `in_input_dtype` as in `Options`."""
    _check(x, weight, factors, backend)
    dtype = arithmetic_dtype(x, factors)
    diagonals = [a.to(dtype) for a in factors.diagonals]
    circulants = [c.to(dtype) for c in factors.circulants]
    if (
        backend == "reference"
        or is_transformed()
        or (backend == "auto" and requested_engines() == ("reference",))
    ):
        vectors = Factors(diagonals, circulants, factors.alpha)
        if torch.compiler.is_compiling() and _is_fused(x, circulants, backend):
            update = fused.update(x.reshape(-1, x.shape[-1]), vectors).view(*x.shape[:-1], -1).to(dtype)
            return add_to_base_output(update, x, weight, bias)
        if is_exported():
            return add_to_base_output(F.linear(x.to(dtype), delta_weight(vectors)), x, weight, bias)
        return reference(x, weight, bias, vectors)
    merges = weight is not None and (weight.dtype not in HALF or _is_merged_in_half(x, weight, factors))
    selection = (
        backend
        if isinstance(backend, Selection)
        else select(x, diagonals, circulants, separate=not merges, backend=backend)
    )
    half = weight is not None and weight.dtype in HALF
    separate = half and not (merges and selection.plan.merged_forward)
    options = Options(selection, len(diagonals), factors.alpha, separate, in_input_dtype or half)
    tensors = (*diagonals, *circulants)
    given = (t for t in (x, weight, bias, *tensors) if t is not None)
    if torch.is_grad_enabled() and any(t.requires_grad for t in given):
        return AdaptedLinearFunction.apply(x, weight, bias, options, *tensors)
    return forward(x, weight, bias, options, tensors)  # entering autograd costs as much as decoding a token


def _is_fused(x: Tensor, circulants: Sequence[Tensor], backend: Backend | Selection) -> bool:
    """Return whether a compiled graph calls the fused kernel."""
    requested = backend == "fused" or (backend in ("auto", "fft") and is_allowed("fused", x.device))
    return requested and fused.supports(x, circulants)


def _check(x: Tensor, weight: Tensor | None, factors: Factors, backend: Backend | Selection) -> None:
    """Check shapes and devices: compiled code would read and write out of bounds.

    Raises:
        ValueError: if circulants do not fit between the diagonals, x is complex or not as wide as the first
            diagonal is long, the weight has another shape than the update, vectors are on another device, or
            there is no such backend.
    """
    sizes, shapes = [a.numel() for a in factors.diagonals], [tuple(c.shape) for c in factors.circulants]
    if not len(shapes) == len(sizes) - 1 > 0 or not all(map(_fits, shapes, sizes, sizes[1:])):
        raise ValueError(
            f"Got diagonals of lengths {sizes} and circulants of shapes {shapes}, but between two diagonals "
            "of lengths d_in and d_out stands one circulant (q1, q2, p) with q1 = ceil(d_out / p) and "
            "q2 = ceil(d_in / p)."
        )
    if backend not in BACKENDS and not isinstance(backend, Selection):
        raise ValueError(f"Got backend {backend!r}, but there are {', '.join(map(repr, BACKENDS))}.")
    d_in, d_out = sizes[0], sizes[-1]
    if weight is not None and tuple(weight.shape) != (d_out, d_in):
        raise ValueError(
            f"Got a weight of shape {tuple(weight.shape)}, but the adapter's update is {(d_out, d_in)}. "
            "Give the layer the weight that it was adapted with, or adapt it anew."
        )
    if x.is_complex():
        raise ValueError(f"Got an input of {x.dtype}, but the layer takes real numbers.")
    if x.dim() == 0 or x.shape[-1] != d_in:
        raise ValueError(f"Got an input of shape {tuple(x.shape)}, but the layer takes (..., {d_in}).")
    for vector in (*factors.diagonals, *factors.circulants):
        if vector.device != x.device:
            raise ValueError(
                f"Got an input on {x.device}, but the adapter's vectors are on {vector.device}. Move both to "
                "one device; vectors on meta hold no values until they are loaded."
            )


def _fits(shape: tuple[int, ...], d_in: int, d_out: int) -> bool:
    """Return whether a circulant (q1, q2, p) leads from d_in to d_out."""
    return len(shape) == 3 and shape[2] > 0 and shape[:2] == (-(-d_out // shape[2]), -(-d_in // shape[2]))


def is_exported() -> bool:
    """Return whether a graph is exported, for formats such as ONNX that have no complex numbers."""
    if torch.compiler.is_compiling():  # first, so that torch.compile traces no further
        return torch.compiler.is_exporting()
    return is_traced()


def arithmetic_dtype(x: Tensor, factors: Factors) -> torch.dtype:
    """float64 where the input or a vector has it, else float32."""
    wide = any(t.dtype == torch.float64 for t in (x, *factors.diagonals, *factors.circulants))
    return torch.float64 if wide else torch.float32
