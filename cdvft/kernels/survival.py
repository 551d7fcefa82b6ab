"""Whether an update survives being added to a weight of half precision, so that one product serves both.

Rounding to a dtype whose step is eps (2^-7 for bfloat16, 2^-10 for float16) moves an entry by at most eps / 2
of itself, so that of an update dW with r = |dW| / |W| (Frobenius) W + dW loses

    |round(W + dW) - W - dW| / |dW| <= eps (1 / r + 1) / 2,

and typically, as simulated on Gaussian weights of either dtype, 0.21 at r = eps, 0.11 at 2 eps: what rounding
the output loses of it in any case, 0.21 and 0.11. Below, the loss is systematic: a step of training smaller
than the weights' own steps is rounded away again and again. Of dW's direction there remain 1.00 at r = eps,
0.97 at eps / 2, 0.80 at eps / 4, 0.51 at eps / 8. `LEAST` = 2 stands clear of that: no update whatever loses
more than about a quarter there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from cdvft.circulant import Factors, block_circulant_matmul, cd_product
from cdvft.private_names import is_recomputed

LEAST = 2
"""|dW| / |W| in units of eps from which on the update is merged."""
EVERY = 32
"""Passes in training for which a measured ratio holds: reading it waits for the device."""


@dataclass
class _Decision:
    """Of one layer's adapter: for which values it was taken, and what has happened since.

    of: the vectors and alpha; versions: torch's counters of writes to weight and vectors; change: by how much
    they grew last; passes: in training, since; trained: whether gradients were asked for since they last grew
    """

    survives: bool
    of: tuple[float, ...]
    versions: tuple[int, ...]
    change: tuple[int, ...] | None
    passes: int = 0
    trained: bool = False

    def holds(self, of: tuple[float, ...], versions: tuple[int, ...]) -> bool:
        """Whether the values are those it was taken for, but for a few steps of an optimizer.

        A step follows a backward pass and writes as often as the one before (fused ones, unseen by torch's
        counters, not at all): any other write, as of a checkpoint that is loaded, ends the decision.
        """
        if of != self.of or self.passes >= EVERY:
            return False
        change = _change(self.versions, versions)
        if any(change) and not (self.trained and change == self.change):
            return False
        self.trained = self.trained and not any(change)
        self.versions = versions
        return True


_decisions = WeakTensorKeyDictionary()  # the last circulant -> _Decision


def survives(weight: Tensor, factors: Factors) -> bool:
    """Whether |alpha dW| >= LEAST eps |W|; measured when the adapter is new or written to, else now and then.

    Always False where that cannot be told in time: for tensors of inference mode, whose writes torch does not
    count, for those on meta, which have no values, and while a CUDA graph is captured, which would replay the
    answer.

    Args:
        weight: (d_out, d_in), bfloat16 or float16
        factors: as `cd_linear` takes them
    """
    tensors = (weight, *factors.diagonals, *factors.circulants)
    if any(t.is_inference() or t.is_meta for t in tensors) or _is_captured(weight):
        return False
    of = (factors.alpha, *map(id, tensors[1:]))
    versions = tuple(t._version for t in tensors)
    known: _Decision | None = _decisions.get(factors.circulants[-1])
    if known is None or not (known.holds(of, versions) or is_recomputed()):
        change = None if known is None or known.of != of else _change(known.versions, versions)
        known = _Decision(
            _ratio(weight, factors) >= LEAST * torch.finfo(weight.dtype).eps, of, versions, change
        )
        _decisions[factors.circulants[-1]] = known
    if torch.is_grad_enabled():
        known.passes += 1
    return known.survives


def expect_step(factors: Factors) -> None:
    """Told by backward passes: what is written next may be an optimizer's step."""
    known = _decisions.get(factors.circulants[-1])
    if known is not None:
        known.trained = True


def _is_captured(weight: Tensor) -> bool:
    return weight.is_cuda and torch.cuda.is_current_stream_capturing()


def _change(before: tuple[int, ...], now: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(b - a for a, b in zip(before, now, strict=True))


@torch.no_grad()
def _ratio(weight: Tensor, factors: Factors) -> float:
    """|alpha dW| / |W|, waiting for the device; infinite for a weight of zeros."""
    return float(_norm(factors) / torch.linalg.vector_norm(weight, dtype=torch.float32))


def _norm(factors: Factors) -> Tensor:
    """|alpha dW|, a scalar. For m = 2 dW is not formed: |dW|^2 = a_3^2 . circ(c^2) a_1^2."""
    diagonals, circulants, alpha = factors
    if len(circulants) > 1:
        return abs(alpha) * torch.linalg.matrix_norm(cd_product(diagonals, circulants))
    (first, last), (c,) = diagonals, circulants
    rows = block_circulant_matmul(first.square(), c.square(), last.numel())
    return abs(alpha) * (last.square() @ rows).clamp(min=0).sqrt()
