"""Counts the floating-point operations that run, in the convention that `cdvft.cost` calls `real_fft`.

Unlike the rest of `cdvft.cost`, this module imports torch. torch's FlopCounterMode counts matrix products and
attention; added here are FFTs (which it counts as 0), sums, products of two tensors, complex matrix products
(which it counts as real ones), and the CPU's attention kernel. Element-wise additions, scaling by a number,
activations and norms are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from cdvft.cost.flops import complex_fft_flops, complex_products, real_fft_flops

aten = torch.ops.aten


def flop_counter() -> FlopCounterMode:
    """Return a context manager that counts the FLOPs of what runs inside it, forward and backward.

    Tensors on the meta device are counted without being computed.

    Returns:
        A context manager; `get_total_flops()` is the number of FLOPs so far. It is not rounded, as the count
        of an FFT need not be whole.
    """
    return FlopCounterMode(display=False, custom_mapping=_FORMULAS)


def count_flops(run: Callable[[], object]) -> int:
    """Return the FLOPs of one call, rounded to a whole number.

    Args:
        run: a call without arguments, such as `lambda: model(x).sum().backward()`
    """
    with flop_counter() as counter:
        run()
    return round(counter.get_total_flops())


def _raw(formula: Callable[..., float]) -> Callable[..., float]:
    """Make torch pass the tensors themselves, as their dtypes matter here."""
    formula._get_raw = True  # type: ignore[attr-defined]
    return formula


@_raw
def _fft(x: Tensor, dim: list[int], normalization: int, *rest: Any, out_val: Tensor, **_: Any) -> float:
    """Real input or output costs half; the length is that of the real side."""
    whole = x if not x.is_complex() else out_val
    length = math.prod(whole.shape[d] for d in dim)
    cost = complex_fft_flops if x.is_complex() and out_val.is_complex() else real_fft_flops
    return whole.numel() // length * cost(length)


@_raw
def _product(x: Tensor, y: Any, *, out_val: Tensor, **_: Any) -> float:
    if not isinstance(y, Tensor) or 0 in (x.dim(), y.dim()):
        return 0.0  # scaling by a number
    each = {0: 1.0, 1: 2.0, 2: 6.0}[x.is_complex() + y.is_complex()]
    return each * out_val.numel()


@_raw
def _sum(x: Tensor, *_: Any, out_val: Tensor, **__: Any) -> float:
    terms = x.numel() // max(out_val.numel(), 1)
    return 0.0 if terms == 1 else float(x.numel() * (2 if x.is_complex() else 1))


@_raw
def _matrix_product(x: Tensor, y: Tensor, *_: Any, out_val: Tensor, **__: Any) -> float:
    if x.is_complex():
        return complex_products(out_val.numel(), x.shape[-1])
    return 2.0 * out_val.numel() * x.shape[-1]


@_raw
def _attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query.shape, key.shape, value.shape)


@_raw
def _attention_backward(grad: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    return sdpa_backward_flop_count(grad.shape, query.shape, key.shape, value.shape)


_FORMULAS: dict[Any, Callable[..., float]] = {
    aten._fft_r2c: _fft,
    aten._fft_c2r: _fft,
    aten._fft_c2c: _fft,
    aten.mul: _product,
    aten.sum: _sum,
    aten.mm: _matrix_product,
    aten.bmm: _matrix_product,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}
