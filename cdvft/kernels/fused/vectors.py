"""The vectors of several layers that are given the same tokens."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Vectors(NamedTuple):
    """Of each layer dW = diag(last) circ(c) diag(first), each vector (d), float32, in one piece."""

    firsts: tuple[Tensor, ...]
    circulants: tuple[Tensor, ...]
    lasts: tuple[Tensor, ...]

    def zeros(self) -> Vectors:
        """As many of zeros."""
        return Vectors(*(tuple(map(torch.zeros_like, of)) for of in self))
