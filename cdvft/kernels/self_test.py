"""A test of an engine before its first use in a process: an engine that fails is not used.

It compares the update, the gradients and a row beside one that is not finite with the dense product in
float64. `calibration` compares on a model's own layers.
"""

from __future__ import annotations

import functools
import logging
from types import ModuleType

import torch
from torch import Tensor

from cdvft.circulant import Factors, cd_product

logger = logging.getLogger(__name__)
WIDTH, TOKENS, ALPHA = 256, 5, 0.5
TOLERANCE = 2e-3
"""Relative to each norm: products in tf32, where torch allows them, are off by 5e-4."""


@functools.cache
@torch.no_grad()
def is_correct(engine: ModuleType, device: torch.device) -> bool:
    """Return whether an engine's results on a device are correct; logs a warning where they are not."""
    try:
        wrong = _wrong(engine, device)
    except Exception as error:  # anything that a compiler or a driver raises
        wrong = str(error)
    if wrong:
        logger.warning(
            "%s failed its self-test on %s and will not be used: %s", engine.__name__, device, wrong
        )
    return not wrong


def _wrong(engine: ModuleType, device: torch.device) -> str | None:
    def numbers(*shape: int, seed: float) -> Tensor:
        """Irregular numbers, without torch's random generator, whose state would change."""
        count = torch.arange(1, 1 + torch.Size(shape).numel(), dtype=torch.float64, device="cpu")
        return torch.sin(count * count * seed).view(shape)

    first, last, c = (numbers(WIDTH, seed=seed) for seed in (0.7, 1.1, 1.3))
    x, grad = numbers(TOKENS, WIDTH, seed=0.3), numbers(TOKENS, WIDTH, seed=0.9)
    c = c.view(1, 1, WIDTH) / WIDTH**0.5
    update = ALPHA * cd_product([first, last], [c])
    u, h, circulant = first * x, ALPHA * last * grad, cd_product([torch.ones_like(first)] * 2, [c])
    by_c = torch.stack([(u * torch.roll(h, -n, 1)).sum() for n in range(WIDTH)])
    by_first, by_last = (x * (h @ circulant)).sum(0), ALPHA * (grad * (u @ circulant.T)).sum(0)
    expected = [x @ update.T, grad @ update, by_first, by_last, by_c]

    ours = [t.to(device, torch.float32) for t in (x, grad, first, last, c)]
    factors = Factors(ours[2:4], ours[4:], ALPHA)
    y, by_x = torch.zeros_like(ours[0]), torch.zeros_like(ours[0])
    engine.forward_(y, ours[0], factors)
    diagonals, circulants = engine.backward(ours[0], ours[1], factors, by_x)
    found = [y, by_x, *diagonals, circulants[0].view(-1)]
    for name, one, truth in zip(
        ("its update", "its gradient by x", "by the first diagonal", "by the last", "by the circulant"),
        found, expected, strict=True,
    ):  # fmt: skip
        off = float((one.double().cpu() - truth).norm() / truth.norm())
        if not off <= TOLERANCE:
            return f"{name} is off by {off:.2g} of its norm"
    beside, alone = torch.zeros_like(y), ours[0].clone()
    alone[0] = torch.nan
    engine.forward_(beside, alone, factors)
    return None if torch.equal(beside[1:], y[1:]) else "a row depends on another"
