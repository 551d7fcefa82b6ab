"""The Learn tab's trial of a learning rate: one CDVFT layer trained under the loss watch of a run."""

from __future__ import annotations

import math
from functools import lru_cache

import torch

from cdvft.circulant import circulant_matmul
from cdvft_app.events import TrainingFailed
from cdvft_app.payloads.learn import Trial
from cdvft_app.training.callbacks import LossWatch

D, BATCH, STEPS = 64, 32, 200
LOWEST, HIGHEST = 1e-4, 10.0
KEPT = 64  # trainings by their rates: a class asks for the few that the page offers


def trained(rate: object) -> Trial:
    """Train the three vectors of a CDVFT layer to imitate another one, by gradient descent.

    The loss is the squared error of an output vector, averaged over a batch of fresh normal inputs. The
    output diagonal starts at zero.

    Returns:
        losses: those until the end, None where one is not finite; failed: the watch's message, or None; rate

    Raises:
        ValueError: if the rate is no number from 0.0001 to 10.
    """
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not LOWEST <= rate <= HIGHEST:
        raise ValueError(f"The learning rate is {str(rate)[:40]!r}; numbers from {LOWEST} to {HIGHEST} go.")
    return _trained(float(rate))


@lru_cache(KEPT)
def _trained(rate: float) -> Trial:
    generator = torch.Generator().manual_seed(0)
    scale, middle = torch.tensor([[0.5], [D**-0.5], [0.5]]), torch.tensor([[1.0], [0.0], [1.0]])
    target = middle + scale * torch.randn(3, D, generator=generator)
    a1, c = torch.ones(D), torch.randn(D, generator=generator) / D**0.5
    vectors = [vector.requires_grad_() for vector in (a1, c, torch.zeros(D))]
    optimizer = torch.optim.SGD(vectors, lr=rate)
    watch, losses, failed = LossWatch(rate), [], None
    for step in range(1, STEPS + 1):
        x = torch.randn(BATCH, D, generator=generator)
        residual = _layer(x, vectors) - _layer(x, list(target))
        loss = residual.square().sum(dim=1).mean()
        losses.append(loss.item())
        try:
            watch.see(step, losses[-1])
        except TrainingFailed as error:
            failed = str(error)
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    seen = [value if math.isfinite(value) else None for value in losses]
    return {"losses": seen, "failed": failed, "rate": rate}


def _layer(x: torch.Tensor, vectors: list[torch.Tensor]) -> torch.Tensor:
    """diag(a3) circ(c) diag(a1) x, for x (batch, d)."""
    a1, c, a3 = vectors
    return circulant_matmul(x * a1, c) * a3
