"""The size of a method whose step takes as long as CDVFT's: what to measure, and which it is.

Times cannot be computed, so a few values are measured: a ladder from the quickest to the slowest, halved at
each try. What is already measured decides what comes next, so that a search can be taken up anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def next_value(values: Sequence[int], seconds: Mapping[int, float], wanted: float) -> int | None:
    """The value to measure next to come closest to `wanted` seconds, None where enough is known.

    Args:
        values: a ladder, quickest first.
        seconds: of a step, by value, as far as measured.
        wanted: seconds of CDVFT's step.
    """
    low, high = -1, len(values)  # up to low quicker than wanted, from high on slower
    while high - low > 1:
        middle = 0 if low < 0 else (low + high) // 2
        if values[middle] not in seconds:
            return values[middle]
        if seconds[values[middle]] < wanted:
            low = middle
        else:
            high = middle
    return None


def tries(values: Sequence[int]) -> int:
    """How many values are measured at most."""
    return 1 + math.ceil(math.log2(len(values))) if values else 0


def closest(seconds: Mapping[int, float], wanted: float) -> int:
    """The measured value whose step comes closest, as a ratio."""
    return min(seconds, key=lambda value: abs(math.log(seconds[value] / wanted)))
