"""A cache of circulants' spectra, valid as long as their values do not change."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

_cache = WeakTensorKeyDictionary()  # circulant -> (identity of its values, its spectrum)


@torch.no_grad()
def spectrum(c: Tensor) -> Tensor:
    """Half spectra FFT(c) of blocks (q1, q2, p), from the cache if c has not changed since the last call.

    Returns:
        (q1, q2, p // 2 + 1), complex
    """
    cached = _cache.get(c)
    if cached is not None and _unchanged(c, cached[0]):
        return cached[1]
    computed = torch.fft.rfft(c.detach())
    _cache[c] = (_identity(c), computed)
    return computed


def invalidate(c: Tensor) -> None:
    """Drop the cached spectrum: off the CPU a write through raw pointers would not be noticed."""
    if c.device.type != "cpu":
        _cache.pop(c, None)


def _identity(c: Tensor) -> Any:
    """On the CPU a copy of the values, so that every way of writing to them is noticed.

    Elsewhere, to avoid a round trip to the device, the storage and torch's version counter, which torch's
    optimizers, `copy_`, `load_state_dict` and `.to` increment, but writing through `.data` does not. For
    optimizers that do, backward passes call `invalidate`.
    """
    if c.device.type == "cpu":
        return c.detach().clone()
    return None if c.is_inference() else (c.device, c.data_ptr(), c._version)


def _unchanged(c: Tensor, identity: Any) -> bool:
    if isinstance(identity, Tensor):
        return c.device == identity.device and c.dtype == identity.dtype and torch.equal(c, identity)
    return c.device.type != "cpu" and identity is not None and identity == _identity(c)
