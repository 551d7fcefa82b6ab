"""A batch whose rows each have an adapter of their own: gathered vectors, and one transform for all rows.

An adapter is a few vectors a layer, so that every row can be multiplied by its own, stacked: what servers of
LoRA adapters need kernels for (Chen et al., "Punica", arXiv 2310.18547; Sheng et al., "S-LoRA", arXiv
2311.03285) is here a broadcast product. Stacks are made at every call and are never stale. In inference the
compiled kernel takes long rows, short ones and blocks. The slow truth is `linear.cd_linear_reference`, one
adapter after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from cdvft.circulant import Factors, block_spectrum
from cdvft.kernels import native
from cdvft.kernels.linear import arithmetic_dtype, cd_linear
from cdvft.kernels.rule import Backend
from cdvft.private_names import is_transformed

MAX_TOKENS = 32
"""Tokens of one adapter up to which it is gathered with others; more are faster by a kernel of their own."""


KERNEL_TOKENS = 12
"""Tokens of one row from which the compiled kernel, row by row, is faster than gathering whole circulants."""


class Share(NamedTuple):
    """The rows of a batch that one adapter is for."""

    factors: Factors
    backend: Backend
    rows: Sequence[int]


def add_by_row(result: Tensor, x: Tensor, shares: Sequence[Share], overwrite: bool = False) -> Tensor:
    """What the base layer gives, plus alpha dW x in every row that an adapter is for; rounded once.

    Args:
        result: (rows, ..., d_out)
        x: (rows, ..., d_in)
        shares: a row in several gets the sum; one in none keeps its result
        overwrite: whether nobody else holds `result`, which then may become the sum

    Returns:
        (rows, ..., d_out), in the dtype of `result`

    Raises:
        ValueError: if x and the vectors do not fit, or lie on several devices.
    """
    result, shares = _by_kernel(result, x, shares, overwrite)
    if not shares:
        return result
    parts = [_part(x, group) for group in _groups(x, shares)]
    if len(parts) == 1 and _is_all(parts[0][0], x):
        return (result + parts[0][1]).to(result.dtype)
    where = torch.tensor([row for rows, _ in parts for row in rows], device=x.device)
    updates = torch.cat([update for _, update in parts])
    total = updates.new_zeros(len(x), *updates.shape[1:]).index_add(0, where, updates)
    return (result + total).to(result.dtype)


def gathered(x: Tensor, adapters: Sequence[Factors], index: Sequence[int]) -> Tensor:
    """alpha dW x with another adapter in every row, as plain torch operations, which autograd differentiates.

    Args:
        x: (rows, ..., d_in)
        adapters: of the same m and block sizes each
        index: of each row, which of the adapters is its own

    Returns:
        (rows, ..., d_out), in float32, or float64 where an argument is
    """
    dtype = arithmetic_dtype(x, adapters[0])
    each_its_own = list(index) == list(range(len(adapters)))
    which = None if each_its_own else torch.tensor(index, device=x.device)

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


def _by_kernel(
    result: Tensor, x: Tensor, shares: Sequence[Share], overwrite: bool
) -> tuple[Tensor, Sequence[Share]]:
    """`add_by_row` by one call of the compiled kernel for the adapters that it is faster for; the others."""
    unwatched = not torch.is_grad_enabled() and not is_transformed()
    if not unwatched or not x.numel() or not x.is_contiguous() or x.is_neg():
        return result, shares
    if not x.dtype == result.dtype == torch.float32:
        return result, shares
    tokens, d_in, d_out = x.shape[1:-1].numel(), x.shape[-1], result.shape[-1]
    kinds: dict[tuple[torch.Size, ...], bool] = {}
    taken: list[Share] = []
    left: list[Share] = []
    for share in shares:
        diagonals, circulants, _ = share.factors
        kind = tuple([c.shape for c in circulants])
        if kind not in kinds:
            kinds[kind] = native.supports(x, circulants) and _is_for_kernel(tokens, circulants)
        ours = (
            kinds[kind]
            and share.backend in ("auto", "fft")
            and (tokens >= KERNEL_TOKENS or tokens * len(share.rows) <= MAX_TOKENS)
            # Of other lengths, compiled code would read and write past the end.
            and diagonals[0].numel() == d_in
            and diagonals[-1].numel() == d_out
            and all([_is_plain(v) for v in (*diagonals, *circulants)])
        )
        (taken if ours else left).append(share)
    if not taken:
        return result, shares
    kept = overwrite and result.is_contiguous()  # new memory comes from the system page by page
    total = result if kept else result.clone(memory_format=torch.contiguous_format)
    of_rows = [(share.factors, share.rows) for share in taken]
    native.forward_by_row_(total.view(-1, tokens, d_out), x.view(-1, tokens, d_in), of_rows)
    return total, left


def _is_for_kernel(tokens: int, circulants: Sequence[Tensor]) -> bool:
    """Whether rows of so many tokens are added faster by the compiled kernel, which there is."""
    in_blocks = any(c.shape[0] * c.shape[1] > 1 for c in circulants)
    return in_blocks or tokens >= KERNEL_TOKENS or native.takes_few(tokens, circulants)


def _is_plain(vector: Tensor) -> bool:
    return vector.is_cpu and vector.dtype == torch.float32 and vector.is_contiguous()


def _part(x: Tensor, group: Sequence[Share]) -> tuple[Sequence[int], Tensor]:
    """The rows that a group of adapters is for, and what is added there."""
    if len(group) == 1:
        share = group[0]
        return share.rows, cd_linear(_rows(x, share.rows), *share.factors, share.backend)
    pairs = sorted((row, which) for which, share in enumerate(group) for row in share.rows)
    rows, index = [row for row, _ in pairs], [which for _, which in pairs]
    return rows, gathered(_rows(x, rows), [share.factors for share in group], index)


def _groups(x: Tensor, shares: Sequence[Share]) -> list[list[Share]]:
    """Adapters that are gathered together, since their vectors stack; each by itself where that is faster."""
    tokens = x.shape[1:-1].numel()
    groups: dict[object, list[Share]] = {}
    for place, share in enumerate(shares):
        few = 0 < tokens * len(share.rows) <= MAX_TOKENS and share.backend in ("auto", "fft")
        key = tuple((c.shape, c.dtype) for c in share.factors.circulants) if few else place
        groups.setdefault(key, []).append(share)
    return list(groups.values())


def _rows(x: Tensor, rows: Sequence[int]) -> Tensor:
    return x if _is_all(rows, x) else x[torch.tensor(rows, device=x.device)]


def _is_all(rows: Sequence[int], x: Tensor) -> bool:
    return len(rows) == len(x) and list(rows) == list(range(len(x)))
