"""Whether an update survives rounding when it is added to a weight of half precision.

Where it does, one matrix product with W + dW replaces the product with W and the separate update. Rounding to
a dtype whose step is eps (2^-7 for bfloat16, 2^-10 for float16) moves an entry by at most eps / 2 of itself,
so that of an update dW with r = |dW| / |W| (Frobenius norms) W + dW loses

    |round(W + dW) - W - dW| / |dW| <= eps (1 / r + 1) / 2,

and typically, as simulated on Gaussian weights of either dtype, 0.21 at r = eps and 0.11 at 2 eps. Rounding
the output loses as much in any case: 0.21 and 0.11. Below, the loss is systematic: a training step smaller
than the weights' own steps is rounded away again and again. Of dW's direction 1.00 remains at r = eps, 0.97
at eps / 2, 0.80 at eps / 4, 0.51 at eps / 8. `MIN_RATIO` = 2 has a margin to that: there no update loses more
than about a quarter.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from cdvft.circulant import Factors, block_circulant_matmul, delta_weight
from cdvft.private_names import is_in_backward

MIN_RATIO = 2
"""|dW| / |W| in units of eps from which on the update is merged."""
MEASURE_INTERVAL = 32
"""Forward passes in training for which a measured ratio is used: reading it waits for the device."""


@dataclass
class _Decision:
    """The cached decision for one layer's adapter.

    key: identity of the vectors, and alpha
    versions: torch's counters of writes to weight and vectors
    last_change: by how much they grew last
    forward_passes: in training, since the ratio was measured
    had_backward: whether gradients were computed since the versions last grew
    """

    survives: bool
    key: tuple[float, ...]
    versions: tuple[int, ...]
    last_change: tuple[int, ...] | None
    forward_passes: int = 0
    had_backward: bool = False

    def is_valid(self, key: tuple[float, ...], versions: tuple[int, ...]) -> bool:
        """Return whether the values are those that were measured, except for a few optimizer steps.

        A step follows a backward pass and writes as often as the one before (fused optimizers, which torch's
        counters do not see, not at all). Any other write, such as loading a checkpoint, ends the decision.
        """
        if key != self.key or self.forward_passes >= MEASURE_INTERVAL:
            return False
        change = _difference(self.versions, versions)
        if any(change) and not (self.had_backward and change == self.last_change):
            return False
        self.had_backward = self.had_backward and not any(change)
        self.versions = versions
        return True


_decisions = WeakTensorKeyDictionary()  # the last circulant -> _Decision


def update_survives_rounding(weight: Tensor, factors: Factors) -> bool:
    """Whether |alpha dW| >= MIN_RATIO eps |W|; measured for a new or changed adapter, and at intervals.

    Always False where it cannot be measured: for tensors of inference mode, whose writes torch does not
    count, for meta tensors, which have no values, and while a CUDA graph is captured, which would replay the
    answer.

    Args:
        weight: (d_out, d_in), bfloat16 or float16
        factors: as `cd_linear` takes them
    """
    tensors = (weight, *factors.diagonals, *factors.circulants)
    if any(t.is_inference() or t.is_meta for t in tensors) or _is_captured(weight):
        return False
    key = (factors.alpha, *map(id, tensors[1:]))
    versions = tuple(t._version for t in tensors)
    cached: _Decision | None = _decisions.get(factors.circulants[-1])
    if cached is None or not (cached.is_valid(key, versions) or is_in_backward()):
        change = None if cached is None or cached.key != key else _difference(cached.versions, versions)
        min_ratio = MIN_RATIO * torch.finfo(weight.dtype).eps
        cached = _Decision(_ratio(weight, factors) >= min_ratio, key, versions, change)
        _decisions[factors.circulants[-1]] = cached
    if torch.is_grad_enabled():
        cached.forward_passes += 1
    return cached.survives


def note_backward(factors: Factors) -> None:
    """Called by backward passes: the next write may be an optimizer's step."""
    cached = _decisions.get(factors.circulants[-1])
    if cached is not None:
        cached.had_backward = True


def _is_captured(weight: Tensor) -> bool:
    return weight.is_cuda and torch.cuda.is_current_stream_capturing()


def _difference(before: tuple[int, ...], now: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(b - a for a, b in zip(before, now, strict=True))


@torch.no_grad()
def _ratio(weight: Tensor, factors: Factors) -> float:
    """|alpha dW| / |W|, waiting for the device; infinite for a weight of zeros."""
    return float(_norm(factors) / torch.linalg.vector_norm(weight, dtype=torch.float32))


def _norm(factors: Factors) -> Tensor:
    """|alpha dW|, a scalar. For m = 2 without dW: |dW|^2 = a_3^2 . circ(c^2) a_1^2."""
    diagonals, circulants, alpha = factors
    if len(circulants) > 1:
        return torch.linalg.matrix_norm(delta_weight(factors))
    (first, last), (c,) = diagonals, circulants
    rows = block_circulant_matmul(first.square(), c.square(), last.numel())
    return abs(alpha) * (last.square() @ rows).clamp(min=0).sqrt()
