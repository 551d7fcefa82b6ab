"""The setting of one method that costs as much as another method does."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cdvft.cost.estimate import Cost, Method, c3a_block_size, estimate
from cdvft.cost.shape import Shape

Quantity = Literal["trainable_parameters", "flops_per_step"]
_SETTINGS: dict[str, str] = {"lora": "r", "fourierft": "n", "c3a": "block_size", "dora": "r", "vera": "r"}


@dataclass(frozen=True)
class Match:
    """The setting that comes closest; whole numbers seldom allow equality, so `ratio` says how close."""

    method: Method
    quantity: Quantity
    setting: str
    value: int
    wanted: int
    cost: Cost

    @property
    def ratio(self) -> float:
        """Quantity reached over quantity wanted."""
        return getattr(self.cost, self.quantity) / self.wanted


def match(
    method: Method,
    reference: Cost,
    shapes: Sequence[Shape],
    quantity: Quantity = "trainable_parameters",
    *,
    largest: int | None = None,
) -> Match:
    """Return the size of a method whose cost on the shapes comes closest, as a ratio, to a reference.

    Args:
        method: whose size is looked for.
        reference: whose cost is wanted.
        shapes: the layers.
        quantity: what is to be equal.
        largest: size that may be chosen; None: as large as the layers allow.

    Raises:
        ValueError: if the method has no such setting, or the setting does not change the quantity.
    """
    if method not in _SETTINGS:
        raise ValueError(
            f"method is {method!r}, but only {', '.join(_SETTINGS)} can be matched. Choose one of them."
        )
    if quantity not in ("trainable_parameters", "flops_per_step"):
        raise ValueError(
            f"quantity is {quantity!r}, but must be trainable_parameters or flops_per_step. Choose one."
        )
    if method == "fourierft" and quantity == "flops_per_step":
        raise ValueError(
            "Equal FLOPs cannot be had with FourierFT: it builds a dense weight change whatever n is. "
            "Match parameters instead."
        )
    wanted = getattr(reference, quantity)

    def cost(value: int) -> Cost:
        return estimate(
            method,
            shapes,
            batch=reference.batch,
            sequence=reference.sequence,
            convention=reference.convention,
            **{_SETTINGS[method]: value},  # type: ignore[arg-type]
        )

    def distance(value: int) -> float:
        reached = getattr(cost(value), quantity)
        return abs(math.log(reached / wanted)) if reached else math.inf

    possible = c3a_block_size(shapes) if method == "c3a" else min(shape.weights for shape in shapes)
    most = possible if largest is None else min(possible, largest)
    if method == "c3a":
        candidates = [b for b in range(1, most + 1) if possible % b == 0]
    else:  # both quantities grow with r, and parameters with n
        below = bisect_right(range(1, most + 1), wanted, key=lambda value: getattr(cost(value), quantity))
        candidates = [max(below, 1), min(below + 1, most)]
    best = min(candidates, key=distance)
    return Match(method, quantity, _SETTINGS[method], best, wanted, cost(best))
