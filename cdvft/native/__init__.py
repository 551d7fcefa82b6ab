"""The walk through the factors as one small C library, compiled on first use and kept in the user's cache.

Optional: without a C compiler, with `CDVFT_NATIVE=0`, off the CPU, or for block sizes with a prime factor
above 7, `cdvft.chunked` does the same with torch's own transforms.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from cdvft.circulant import Factors
from cdvft.native.build import library

RADIXES = (7, 5, 3, 8, 4, 2)
MAX_ENTRIES = 1 << 20
"""Most entries of one circulant: a thread sums its gradient in 64 to 128 bytes an entry."""


class _Plan(NamedTuple):
    """A transform of length p: radixes, twiddle factors of every pass, and where each frequency ends up."""

    radixes: Tensor
    twiddles: Tensor
    order: Tensor


def supports(x: Tensor, circulants: Sequence[Tensor]) -> bool:
    """Whether this library can take them: float32 arithmetic on the CPU, and p = 2^a 3^b 5^c 7^d throughout.

    Whoever watches torch's operations (a FLOP counter, fake tensors) would not see this library's.
    """
    return (
        x.device.type == "cpu"
        and circulants[0].dtype == torch.float32
        and all(c.numel() <= MAX_ENTRIES and _radixes(c.shape[-1]) is not None for c in circulants)
        and not is_in_torch_dispatch_mode()
        and library() is not None
    )


def spectrum(c: Tensor) -> Tensor:
    """FFT(c) / p of blocks (q1, q2, p), in the order in which this library's transforms leave it."""
    return (torch.fft.fft(c)[..., _plan(c.shape[-1]).order] / c.shape[-1]).contiguous()


def forward_(y: Tensor, x: Tensor, factors: Factors, spectra: Sequence[Tensor]) -> None:
    """y += alpha dW x in place; x (tokens, d_in), y (tokens, d_out) contiguous, spectra by `spectrum`."""
    compiled = library()
    assert compiled is not None
    x, threads = _rows(x), _threads(compiled, len(x))
    last = factors.alpha * factors.diagonals[-1]
    stages = _stages(factors, spectra)
    scratch = torch.empty(threads * compiled.cdvft_scratch(stages, len(spectra), 0))
    compiled.cdvft_forward(
        stages, len(spectra), len(x), x.data_ptr(), x.stride(0), last.data_ptr(),
        y.data_ptr(), scratch.data_ptr(), threads,
    )  # fmt: skip


def backward(
    x: Tensor, grad: Tensor, factors: Factors, spectra: Sequence[Tensor], grad_x: Tensor | None
) -> tuple[list[Tensor], list[Tensor]]:
    """Gradients by diagonals and circulants, given that by alpha dW x; adds that by x to `grad_x`, if any."""
    compiled = library()
    assert compiled is not None
    x, grad, threads = _rows(x), grad.to(torch.float32).contiguous(), _threads(compiled, len(x))
    last = factors.alpha * factors.diagonals[-1]
    stages = _stages(factors, spectra)
    shapes = [f.shape for f in (*factors.diagonals, *factors.circulants)]
    grads = torch.zeros(threads, sum(shape.numel() for shape in shapes))
    scratch = torch.empty(threads * compiled.cdvft_scratch(stages, len(spectra), 1))
    compiled.cdvft_backward(
        stages, len(spectra), len(x), x.data_ptr(), x.stride(0), grad.data_ptr(), last.data_ptr(),
        None if grad_x is None else grad_x.data_ptr(), grads.data_ptr(), scratch.data_ptr(), threads,
    )  # fmt: skip
    total = grads.sum(0) if threads > 1 else grads[0]
    found = [
        part.view(shape) for part, shape in zip(total.split([s.numel() for s in shapes]), shapes, strict=True)
    ]
    m = len(factors.diagonals)
    found[m - 1] *= factors.alpha
    return found[:m], found[m:]


def _rows(x: Tensor) -> Tensor:
    x = x.to(torch.float32)
    return x if x.stride(-1) == 1 and x.stride(0) >= x.shape[-1] else x.contiguous()


def _stages(factors: Factors, spectra: Sequence[Tensor]) -> ctypes.Array:
    """The C struct `stage` of every circulant: integers and pointers of 8 bytes each."""
    fields: list[int] = []
    for a, after, s in zip(factors.diagonals, factors.diagonals[1:], spectra, strict=False):
        plan = _plan(s.shape[-1])
        fields += (a.numel(), after.numel(), *s.shape)
        fields += (plan.radixes.data_ptr(), plan.twiddles.data_ptr(), a.data_ptr(), s.data_ptr())
    return (ctypes.c_int64 * len(fields))(*fields)


def _threads(compiled: ctypes.CDLL, tokens: int) -> int:
    return max(1, min(torch.get_num_threads(), tokens // 32)) if compiled.cdvft_parallel() else 1


@functools.lru_cache
def _radixes(p: int) -> tuple[int, ...] | None:
    radixes = []
    for radix in RADIXES:
        while p % radix == 0:
            radixes.append(radix)
            p //= radix
    return tuple(radixes) if p == 1 else None


@functools.lru_cache
def _plan(p: int) -> _Plan:
    radixes = _radixes(p)
    assert radixes is not None
    twiddles, order, length = [torch.empty(0, dtype=torch.complex128)], torch.zeros(1, dtype=torch.long), p
    for radix in radixes:
        turns = torch.arange(length // radix)[:, None] * torch.arange(1, radix) / length
        twiddles.append(torch.exp(-2j * math.pi * turns.double()).flatten())
        length //= radix
    for radix in reversed(radixes):  # block q of a pass holds the frequencies radix * k + q
        order = (radix * order + torch.arange(radix)[:, None]).flatten()
    return _Plan(torch.tensor(radixes, dtype=torch.int32), torch.cat(twiddles).to(torch.complex64), order)
