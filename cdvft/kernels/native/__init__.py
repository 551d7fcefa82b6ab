"""The update as a small C library, which wheels contain; elsewhere it is compiled on first use.

Optional: without a C compiler, where `CDVFT_ENGINE` leaves it out, off the CPU, or for block sizes with a
prime factor above 7, `cdvft.kernels.chunked` does the same with torch's own transforms.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cdvft.circulant import Factors
from cdvft.kernels import self_test
from cdvft.kernels.native.build import library
from cdvft.kernels.native.plan import complex_plan_for, radixes_of, real_plan_for
from cdvft.private_names import is_watched

FEW_TOKENS = 4
"""The most tokens for which `cdvft_few`, whose registers hold neighbouring entries of one, is faster."""
_FIELDS = 12
"""The number of fields of the C struct `stage`, of 8 bytes each."""
MAX_ENTRIES = 1 << 20
"""Most entries of one circulant: a thread sums its gradient in 8 bytes an entry, 16 with empty lanes."""


def supports(x: Tensor, circulants: Sequence[Tensor]) -> bool:
    """Return whether this library supports them: float32 on the CPU, and p = 2^a 3^b 5^c 7^d throughout.

    Not while a dispatch mode (a FLOP counter, fake tensors) is active, which would not see its operations.
    """
    return (
        x.device.type == "cpu"
        and circulants[0].dtype == torch.float32
        and all(c.numel() <= MAX_ENTRIES and radixes_of(c.shape[-1]) is not None for c in circulants)
        and not is_watched()
        and library() is not None
        and self_test.is_correct(sys.modules[__name__], x.device)
    )


def forward_(y: Tensor, x: Tensor, factors: Factors) -> None:
    """y += alpha dW x in place; x (tokens, d_in), y (tokens, d_out) contiguous."""
    _call("cdvft_forward", x, factors, [y])


def prepared_forward(factors: Factors) -> Callable[[Tensor, Tensor, int, float], None]:
    """`forward_` for vectors that keep their addresses: a function of y, x (contiguous), tokens and alpha."""
    compiled = library()
    assert compiled is not None
    count, width = len(factors.circulants), len(factors.diagonals[0])
    last, lanes = factors.diagonals[-1].data_ptr(), compiled.cdvft_lanes()
    stages = _stages(factors.diagonals, factors.circulants)
    most_few, few_stages = 0, stages
    if takes_few(FEW_TOKENS, factors.circulants):
        most_few, few_stages = FEW_TOKENS, _stages(factors.diagonals, factors.circulants, lanes)
    forward, few = compiled.cdvft_forward, compiled.cdvft_few

    def add(y: Tensor, x: Tensor, tokens: int, alpha: float) -> None:
        if tokens <= most_few:
            done = few(few_stages, count, tokens, x.data_ptr(), last, alpha, y.data_ptr())
        else:
            done = forward(stages, count, tokens, x.data_ptr(), width, last, alpha, y.data_ptr(), 1)
        if not done:
            raise _no_memory(factors.diagonals)

    return add


def forward_by_row_(y: Tensor, x: Tensor, adapters: Sequence[tuple[Factors, Sequence[int]]]) -> None:
    """y += alpha dW x in place, in each row by the adapters that list it.

    Args:
        y: (rows, tokens, d_out), contiguous
        x: (rows, tokens, d_in), contiguous
        adapters: with contiguous vectors, and their rows
    """
    compiled = library()
    assert compiled is not None
    tokens, lanes = x.shape[1], compiled.cdvft_lanes()
    x_start, y_start, x_bytes, y_bytes = x.data_ptr(), y.data_ptr(), x[0].nbytes, y[0].nbytes
    stages: list[int] = []
    rows: list[float] = []
    for (diagonals, circulants, alpha), own in adapters:
        first, count, last = len(stages) // _FIELDS, len(circulants), diagonals[-1].data_ptr()
        few = takes_few(tokens, circulants)
        stages += _fields(diagonals, circulants, lanes if few else 0)
        for n in own:
            rows += (first, count, few, x_start + n * x_bytes, last, y_start + n * y_bytes, alpha)
    order = [n for _, own in adapters for n in own]
    threads = _threads(compiled, len(order)) if len(set(order)) == len(order) else 1
    packed = struct.pack(f"{len(stages)}q", *stages), struct.pack("qqqqqqd" * len(order), *rows)
    if not compiled.cdvft_many(*packed, len(order), tokens, threads):
        raise MemoryError(f"No memory for the scratch of {len(order)} rows of {tokens} tokens.")


def takes_few(tokens: int, circulants: Sequence[Tensor]) -> bool:
    """Return whether `cdvft_few` supports them; the library must be there."""
    compiled = library()
    assert compiled is not None
    lanes = compiled.cdvft_lanes()
    return tokens <= FEW_TOKENS and not any([c.shape[2] % lanes for c in circulants])


def backward(
    x: Tensor, grad: Tensor, factors: Factors, grad_x: Tensor | None
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Gradients by diagonals and circulants, given that by alpha dW x; adds that by x to `grad_x`, if any."""
    shapes = [f.shape for f in (*factors.diagonals, *factors.circulants)]
    sizes = [shape.numel() for shape in shapes]
    grads = _scratch(sum(sizes))
    _call("cdvft_backward", x, factors, [_as_float32(grad).contiguous(), grad_x, grads])
    found = [part.view(shape) for part, shape in zip(grads.split(sizes), shapes, strict=True)]
    m = len(factors.diagonals)
    return found[:m], found[m:]


def merged_weight(weight: Tensor, factors: Factors) -> Tensor:
    """W + alpha dW for m = 2, where `supports_merging`."""
    compiled = library()
    assert compiled is not None
    first, last = (a.contiguous() for a in factors.diagonals)
    c = factors.circulants[0].contiguous()
    merged = _scratch(*weight.shape)
    done = compiled.cdvft_merge(
        weight.data_ptr(), weight.stride(0), *weight.shape, first.data_ptr(), c.data_ptr(), last.data_ptr(),
        factors.alpha, *c.shape, merged.data_ptr(), _threads(compiled, len(weight)),
    )  # fmt: skip
    if not done:
        raise MemoryError(f"No memory for the scratch of a circulant of {tuple(c.shape)}.")
    return merged


def supports_merging(weight: Tensor, factors: Factors) -> bool:
    """Return whether `merged_weight` supports them: float32 on the CPU, contiguous rows, one circulant."""
    return (
        weight.dtype == torch.float32
        and weight.stride(1) == 1
        and len(factors.circulants) == 1
        and supports(weight, factors.circulants)
    )


def _call(name: str, x: Tensor, factors: Factors, others: Sequence[Tensor | None]) -> None:
    """Call a C function with the factors and its other arguments."""
    x = _as_float32(x)
    if x.stride(1) != 1 or x.stride(0) < x.shape[1]:
        x = x.contiguous()
    diagonals = [a.contiguous() for a in factors.diagonals]
    circulants = [c.contiguous() for c in factors.circulants]
    compiled, tokens = library(), x.shape[0]
    assert compiled is not None and all(t is None or t.is_contiguous() for t in others)
    done = getattr(compiled, name)(
        _stages(diagonals, circulants), len(circulants), tokens, x.data_ptr(), x.stride(0),
        diagonals[-1].data_ptr(), factors.alpha, *(None if t is None else t.data_ptr() for t in others),
        _threads(compiled, tokens),
    )  # fmt: skip
    if not done:
        raise _no_memory(diagonals)


def _stages(
    diagonals: Sequence[Tensor], circulants: Sequence[Tensor], lanes: int = 0
) -> ctypes.Array[ctypes.c_int64]:
    """Each circulant's struct `stage`; for `cdvft_few`, its transforms are of p entries over `lanes`."""
    fields = _fields(diagonals, circulants, lanes)
    return (ctypes.c_int64 * len(fields))(*fields)


def _fields(diagonals: Sequence[Tensor], circulants: Sequence[Tensor], lanes: int) -> list[int]:
    fields: list[int] = []
    for a, after, c in zip(diagonals, diagonals[1:], circulants, strict=False):
        p = c.shape[2]
        plans = (*complex_plan_for(p // lanes).addresses, 0) if lanes else (0, 0, 0, real_plan_for(p).address)
        fields += (a.numel(), after.numel(), *c.shape, *plans, a.data_ptr(), c.data_ptr(), 0)
    return fields


def _no_memory(diagonals: Sequence[Tensor]) -> MemoryError:
    return MemoryError(
        f"No memory for the scratch of a layer with diagonals of {[len(a) for a in diagonals]}."
    )


def _threads(compiled: ctypes.CDLL, rows: int) -> int:
    return max(1, min(torch.get_num_threads(), rows // 32)) if compiled.cdvft_parallel() else 1


def _scratch(*shape: int) -> Tensor:
    """Memory for C to write to, whatever torch's default dtype and device are."""
    return torch.empty(shape, dtype=torch.float32, device="cpu")


def _as_float32(t: Tensor) -> Tensor:
    return t.resolve_neg().to(torch.float32)
