"""Times several functions in turns, in one process, so that a disturbance affects all of them."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

Run = Callable[[], float | None]


@dataclass(frozen=True)
class Ratio:
    """Median of the rounds' ratios, and their quartiles."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Rounds:
    """Seconds of every candidate in every round."""

    seconds: dict[str, list[float]]

    @property
    def count(self) -> int:
        return len(next(iter(self.seconds.values())))

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, name: str, other: str) -> Ratio:
        ratios = [a / b for a, b in zip(self.seconds[name], self.seconds[other], strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        return Ratio(round(median, 4), round(low, 4), round(high, 4))


def rotated(names: Sequence[str], turn: int) -> list[str]:
    """The names in an order of which another is the first in each turn, for few turns that take long."""
    start = turn % len(names)
    return [*names[start:], *names[:start]]


def interleave(candidates: Mapping[str, Run], seconds: float, least: int = 3) -> Rounds:
    """Run all candidates once a round, every round in another order, until the time is up.

    One thread is timed by its own CPU time, which other processes do not count into; several by the clock. A
    candidate that returns seconds has timed itself. Every timed run follows one of its own that is not timed,
    as a step follows a step in training: after a method that frees large arrays, whoever came next would pay
    for taking memory from the system again (C3A cost CDVFT a tenth of its time at 3072 -> 768 that way).
    """
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    names = list(candidates)
    found: dict[str, list[float]] = {name: [] for name in names}
    end = time.monotonic() + seconds
    order = random.Random(0)
    for n in range(200):  # at most
        if n >= least and time.monotonic() > end:
            break
        for name in order.sample(names, len(names)):
            candidates[name]()
            start = clock()
            own = candidates[name]()
            taken = clock() - start
            found[name].append(taken if own is None else own)
    return Rounds(found)
