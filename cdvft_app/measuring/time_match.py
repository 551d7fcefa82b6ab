"""LoRA's r, FourierFT's n or C3A's b whose step takes as long as CDVFT's: what to measure, and which it is.

Times cannot be computed, so a few values are measured: a ladder from the quickest to the slowest, halved at
each try. What is already measured decides what comes next, so that a search can be taken up anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cdvft.cost import Shape
from cdvft_app.settings import Method

LARGEST_RANK = 512
MOST_ENTRIES = 100_000
MOST_BLOCKS_A_SIDE = 16  # of C3A: more take many times as long


def ladder(method: Method, adapted: Sequence[Shape]) -> tuple[int, ...]:
    """Values to try, from the quickest step to the slowest; empty for a method without such a setting."""
    if method == "lora":
        return tuple(2**power for power in range(LARGEST_RANK.bit_length()))
    if method == "fourierft":
        most = min(MOST_ENTRIES, *(shape.weights for shape in adapted))
        return tuple(10**power for power in range(6) if 10**power <= most)
    if method == "c3a":
        common = math.gcd(*(size for shape in adapted for size in (shape.d_out, shape.d_in)))
        return tuple(common // blocks for blocks in range(1, MOST_BLOCKS_A_SIDE + 1) if common % blocks == 0)
    return ()


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
