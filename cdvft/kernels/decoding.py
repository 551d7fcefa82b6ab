"""The adapted layer for the few tokens of a decoding step: the compiled kernel with little Python before it.

A step of decoding multiplies one token by each weight, so that checks, plans and the entry into autograd,
paid once a layer, would cost several times the update itself. What the kernel is told of an adapter is
therefore kept, for as long as its vectors lie where they lay. Their values and spectra are not: the kernel
reads them at every call, so that nothing here can be stale. `linear.adapted_linear` is the slow truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from cdvft.circulant import Factors
from cdvft.kernels import native
from cdvft.kernels.linear import is_transformed

MOST_TOKENS = 16
"""The compiled kernel carries out so many transforms at a time, side by side in vector registers."""


class Prepared(NamedTuple):
    """What the kernel is told of one adapter of one layer, and the vectors that it was told about."""

    vectors: tuple[Tensor, ...]
    addresses: tuple[int, ...]
    add: Any

    def is_for(self, vectors: Sequence[Tensor]) -> bool:
        """Whether these are the same vectors, and lie where they lay."""
        return len(vectors) == len(self.vectors) and all(
            now is then and now.data_ptr() == at
            for now, then, at in zip(vectors, self.vectors, self.addresses, strict=True)
        )


def prepare(x: Tensor, factors: Factors) -> Prepared | None:
    """None where the kernel does not take them: see `native.supports`, and float32 vectors in one piece."""
    vectors = (*factors.diagonals, *factors.circulants)
    fit = all(v.device == x.device and v.dtype == torch.float32 and v.is_contiguous() for v in vectors)
    if not fit or not native.supports(x, factors.circulants):
        return None
    return Prepared(vectors, tuple(v.data_ptr() for v in vectors), native.prepared_forward(factors))


def can_decode(x: Tensor, weight: Tensor) -> bool:
    """Whether this input is one for `decode`: few float32 tokens, and neither gradients nor a transformation.

    The last comes first, so that torch.compile reads no further.
    """
    return (
        not is_transformed()
        and not torch.is_grad_enabled()
        and x.dtype is torch.float32 is weight.dtype
        and 0 < x.numel() <= MOST_TOKENS * weight.shape[1] == MOST_TOKENS * x.shape[-1]
        and x.device.type == "cpu" == weight.device.type
        and x.is_contiguous()
        and not x.is_neg()
        and not is_in_torch_dispatch_mode()
    )


def decode(x: Tensor, weight: Tensor, bias: Tensor | None, prepared: Prepared, alpha: float) -> Tensor:
    """(W + alpha dW) x + b for inputs that `can_decode` allows.

    Args:
        x: (..., d_in), at most `MOST_TOKENS` tokens
        weight: (d_out, d_in)
        bias: (d_out)
        prepared: for the adapter's vectors, whatever their values are now
        alpha: scale of the update

    Returns:
        (..., d_out)
    """
    y = F.linear(x, weight, bias)
    prepared.add(y, x, x.numel() // x.shape[-1], alpha)
    return y
