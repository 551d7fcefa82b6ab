"""The compiled kernel for the few tokens of a decoding step, past what many tokens share the cost of.

A step of decoding multiplies one token by each weight, so that checks, plans and the entry into autograd,
paid once a layer, would cost several times the update itself. `linear.adapted_linear` is the slow truth.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cdvft.circulant import Factors
from cdvft.kernels import native
from cdvft.private_names import is_transformed, is_watched

MAX_TOKENS = 16
"""Beyond, a call's checks are a small part of it."""


def prepare(x: Tensor, factors: Factors) -> Callable[[Tensor, Tensor, int, float], None] | None:
    """`native.prepared_forward`, which is told of vectors once and reads their values at every call.

    None where the kernel does not take them: see `native.supports`, and float32 vectors in one piece.
    """
    vectors = (*factors.diagonals, *factors.circulants)
    fit = all(v.device == x.device and v.dtype == torch.float32 and v.is_contiguous() for v in vectors)
    return native.prepared_forward(factors) if fit and native.supports(x, factors.circulants) else None


def can_decode(x: Tensor) -> bool:
    """Whether the kernel may write into what follows from x: float32 on the CPU, unwatched, no gradients.

    Transformations come first, so that torch.compile reads no further.
    """
    return (
        not is_transformed()
        and not torch.is_grad_enabled()
        and type(x) is Tensor
        and x.dtype is torch.float32
        and x.is_cpu
        and x.is_contiguous()
        and not x.is_neg()
        and not is_watched()
        and not torch.is_autocast_enabled("cpu")
    )
