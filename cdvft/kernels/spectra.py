"""Spectra of circulants, computed once while their values do not change."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

_kept = WeakTensorKeyDictionary()  # circulant -> (what identified its values, its spectrum)


@torch.no_grad()
def spectrum(c: Tensor) -> Tensor:
    """Half spectra FFT(c) of blocks (q1, q2, p), from memory where the same values were transformed last.

    Returns:
        (q1, q2, p // 2 + 1), complex
    """
    kept = _kept.get(c)
    if kept is not None and _unchanged(c, kept[0]):
        return kept[1]
    fresh = torch.fft.rfft(c.detach())
    _kept[c] = (_identity(c), fresh)
    return fresh


def forget(c: Tensor) -> None:
    """Before an optimizer may write through raw pointers, which off the CPU nothing would tell of."""
    if c.device.type != "cpu":
        _kept.pop(c, None)


def _identity(c: Tensor) -> Any:
    """On the CPU the values themselves, which no way of writing them escapes.

    Elsewhere, to spare a round trip to the device, the storage and torch's count of in-place changes, which
    torch's optimizers, `copy_`, `load_state_dict` and `.to` go through, but writing through `.data` does not.
    For optimizers that write otherwise, backward passes `forget`.
    """
    if c.device.type == "cpu":
        return c.detach().clone()
    return None if c.is_inference() else (c.device, c.data_ptr(), c._version)


def _unchanged(c: Tensor, identity: Any) -> bool:
    if isinstance(identity, Tensor):
        return c.device == identity.device and c.dtype == identity.dtype and torch.equal(c, identity)
    return c.device.type != "cpu" and identity is not None and identity == _identity(c)
