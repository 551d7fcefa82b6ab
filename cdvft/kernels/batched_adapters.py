"""A batch with a different adapter for each row: gathered vectors, and one transform for all rows.

An adapter is a few vectors a layer, so that they can be stacked and each row multiplied by its own: what
servers of LoRA adapters need kernels for (Chen et al., "Punica", arXiv 2310.18547; Sheng et al., "S-LoRA",
arXiv 2311.03285) is here a broadcast product. Vectors are stacked at every call and so never stale. In
inference the compiled kernel computes long rows, short ones and blocks. The reference is
`linear.cd_linear_reference`, one adapter after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from cdvft.circulant import Factors, block_spectrum
from cdvft.kernels import native
from cdvft.kernels.cost_model import Backend
from cdvft.kernels.linear import arithmetic_dtype, cd_linear
from cdvft.private_names import is_transformed

MAX_TOKENS = 32
"""Most tokens of an adapter that is gathered with others; with more, a call of its own is faster."""

MIN_KERNEL_TOKENS = 12
"""Least tokens of a row for which the compiled kernel is faster than gathering whole circulants."""


class AdapterRows(NamedTuple):
    """An adapter, its backend, and the rows of a batch that use it."""

    factors: Factors
    backend: Backend
    rows: Sequence[int]


def add_by_row(result: Tensor, x: Tensor, adapters: Sequence[AdapterRows], overwrite: bool = False) -> Tensor:
    """Return the base layer's result plus alpha dW x in the rows of each adapter; rounded once.

    Args:
        result: (rows, ..., d_out)
        x: (rows, ..., d_in)
        adapters: a row in several gets the sum; a row in none keeps its result
        overwrite: whether `result` is used nowhere else and may be changed in place

    Returns:
        (rows, ..., d_out), in the dtype of `result`

    Raises:
        ValueError: if x and the vectors do not fit, or are on several devices.
    """
    result, adapters = _add_by_kernel(result, x, adapters, overwrite)
    if not adapters:
        return result
    parts = [_update(x, group) for group in _groups(x, adapters)]
    if len(parts) == 1 and _is_all(parts[0][0], x):
        return (result + parts[0][1]).to(result.dtype)
    indices = torch.tensor([row for rows, _ in parts for row in rows], device=x.device)
    updates = torch.cat([update for _, update in parts])
    total = updates.new_zeros(len(x), *updates.shape[1:]).index_add(0, indices, updates)
    return (result + total).to(result.dtype)


def gathered_update(x: Tensor, adapters: Sequence[Factors], index: Sequence[int]) -> Tensor:
    """alpha dW x with an adapter of its own for each row, in plain torch operations for autograd.

    Args:
        x: (rows, ..., d_in)
        adapters: of the same m and block sizes each
        index: for each row, which of the adapters it uses

    Returns:
        (rows, ..., d_out), in float32, or float64 where an argument is
    """
    dtype = arithmetic_dtype(x, adapters[0])
    in_order = list(index) == list(range(len(adapters)))
    which = None if in_order else torch.tensor(index, device=x.device)

    def by_row(stacked: Tensor) -> Tensor:
        return stacked if which is None else stacked[which]

    def diagonal(place: int) -> Tensor:
        return torch.stack([factors.diagonals[place] for factors in adapters]).to(dtype)

    y = x.reshape(len(x), -1, x.shape[-1]).to(dtype) * by_row(diagonal(0))[:, None]
    for place in range(len(adapters[0].circulants)):
        c = torch.stack([factors.circulants[place] for factors in adapters]).to(dtype)
        after = diagonal(place + 1)
        if place == len(adapters[0].circulants) - 1:
            after = after * after.new_tensor([factors.alpha for factors in adapters])[:, None]
        q2, p = c.shape[2:]
        spectra = _product(by_row(torch.fft.rfft(c)), block_spectrum(y, q2, p))
        y = torch.fft.irfft(spectra, n=p).flatten(-2)[..., : after.shape[1]] * by_row(after)[:, None]
    return y.reshape(*x.shape[:-1], y.shape[-1])


def _product(c: Tensor, x: Tensor) -> Tensor:
    """Spectra of circulants (rows, q1, q2, f) and inputs (rows, tokens, q2, f): (rows, tokens, q1, f)."""
    if c.shape[2] == 1:
        return x * c[:, None, :, 0]
    return torch.einsum("rtjf,rijf->rtif", x, c)


def _add_by_kernel(
    result: Tensor, x: Tensor, adapters: Sequence[AdapterRows], overwrite: bool
) -> tuple[Tensor, Sequence[AdapterRows]]:
    """The result with the adapters that one call of the compiled kernel is faster for; the other adapters."""
    plain = not torch.is_grad_enabled() and not is_transformed()
    if not plain or not x.numel() or not x.is_contiguous() or x.is_neg():
        return result, adapters
    if not x.dtype == result.dtype == torch.float32:
        return result, adapters
    tokens, d_in, d_out = x.shape[1:-1].numel(), x.shape[-1], result.shape[-1]
    supported: dict[tuple[torch.Size, ...], bool] = {}
    by_kernel: list[AdapterRows] = []
    others: list[AdapterRows] = []
    for adapter in adapters:
        diagonals, circulants, _ = adapter.factors
        shapes = tuple([c.shape for c in circulants])
        if shapes not in supported:
            supported[shapes] = native.supports(x, circulants) and _is_faster(tokens, circulants)
        fits = (
            supported[shapes]
            and adapter.backend in ("auto", "fft")
            and (tokens >= MIN_KERNEL_TOKENS or tokens * len(adapter.rows) <= MAX_TOKENS)
            # With other lengths compiled code would read and write past the end.
            and diagonals[0].numel() == d_in
            and diagonals[-1].numel() == d_out
            and all([_is_plain(v) for v in (*diagonals, *circulants)])
        )
        (by_kernel if fits else others).append(adapter)
    if not by_kernel:
        return result, adapters
    in_place = overwrite and result.is_contiguous()  # new memory comes from the system page by page
    total = result if in_place else result.clone(memory_format=torch.contiguous_format)
    rows = [(adapter.factors, adapter.rows) for adapter in by_kernel]
    native.forward_by_row_(total.view(-1, tokens, d_out), x.view(-1, tokens, d_in), rows)
    return total, others


def _is_faster(tokens: int, circulants: Sequence[Tensor]) -> bool:
    """Whether the compiled kernel, which must be there, adds rows of so many tokens faster than gathering."""
    in_blocks = any(c.shape[0] * c.shape[1] > 1 for c in circulants)
    return in_blocks or tokens >= MIN_KERNEL_TOKENS or native.takes_few(tokens, circulants)


def _is_plain(vector: Tensor) -> bool:
    return vector.is_cpu and vector.dtype == torch.float32 and vector.is_contiguous()


def _update(x: Tensor, group: Sequence[AdapterRows]) -> tuple[Sequence[int], Tensor]:
    """Return the rows of a group of adapters, and their updates."""
    if len(group) == 1:
        (adapter,) = group
        return adapter.rows, cd_linear(_rows(x, adapter.rows), *adapter.factors, adapter.backend)
    pairs = sorted((row, which) for which, adapter in enumerate(group) for row in adapter.rows)
    rows, index = [row for row, _ in pairs], [which for _, which in pairs]
    return rows, gathered_update(_rows(x, rows), [adapter.factors for adapter in group], index)


def _groups(x: Tensor, adapters: Sequence[AdapterRows]) -> list[list[AdapterRows]]:
    """Groups of adapters whose vectors are stacked; one with many tokens is a group of its own."""
    tokens = x.shape[1:-1].numel()
    groups: dict[object, list[AdapterRows]] = {}
    for place, adapter in enumerate(adapters):
        few = 0 < tokens * len(adapter.rows) <= MAX_TOKENS and adapter.backend in ("auto", "fft")
        key = tuple((c.shape, c.dtype) for c in adapter.factors.circulants) if few else place
        groups.setdefault(key, []).append(adapter)
    return list(groups.values())


def _rows(x: Tensor, rows: Sequence[int]) -> Tensor:
    return x if _is_all(rows, x) else x[torch.tensor(rows, device=x.device)]


def _is_all(rows: Sequence[int], x: Tensor) -> bool:
    return len(rows) == len(x) and list(rows) == list(range(len(x)))
