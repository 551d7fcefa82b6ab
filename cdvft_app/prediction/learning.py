"""What the runs that ended here say about the next one.

Each run teaches two things: how long it took for each FLOP that was counted for it, and how many bytes its
process had beside those of a step. The nearest runs count: of the same method, model and data, then of the
same method and model, then of the same model, then any; of these the latest, by their median.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cdvft_app.settings import RunSettings
from cdvft_app.store.records import RunRecord

LATEST = 5
LIKE_SIZE = 3.0
"""Steps of up to so many times more or fewer FLOPs are alike: small ones take longer for each."""


@dataclass(frozen=True)
class Estimate:
    """A value with the range that it is expected in, and a sentence on how it was got."""

    value: float
    low: float
    high: float
    how: str


@dataclass(frozen=True)
class Lesson:
    """A finished run in numbers: seconds a FLOP of training, other seconds, bytes beside a step's by formula.

    `other_seconds` are those of loading, apart from the evaluations' FLOPs at the same pace; None for a run
    that was resumed, whose beginning is forgotten. `program_bytes` is None where no memory was measured.
    """

    settings: RunSettings
    step_flops: float
    seconds_per_flop: float
    other_seconds: float | None
    program_bytes: float | None


@dataclass(frozen=True)
class _Nearness:
    """What must be the same, whether steps must be of a like size, and the least factor that is left open."""

    same: tuple[str, ...]
    like_size: bool
    words: str
    spread: float

    def holds(self, settings: RunSettings, step_flops: float, other: Lesson) -> bool:
        ratio = step_flops / other.step_flops
        return all(getattr(other.settings, name) == getattr(settings, name) for name in self.same) and (
            not self.like_size or 1 / LIKE_SIZE <= ratio <= LIKE_SIZE
        )


_NEAREST = (
    _Nearness(("method", "model", "dataset"), True, "of the same method on the same model and data", 1.15),
    _Nearness(("method", "model"), True, "of the same method on the same model", 1.4),
    _Nearness(("model",), True, "of other methods on the same model", 1.4),
    _Nearness(("model",), False, "on the same model in steps of another size", 2.5),
    _Nearness((), False, "of other models", 3.0),
)


def lessons(runs: Iterable[RunRecord], device: str, growth: float) -> list[Lesson]:
    """What those of the finished runs teach that had a forecast and trained on this device, latest first.

    Args:
        runs: finished ones.
        device: as `Started` names it.
        growth: real bytes of a step over those by formula.
    """
    found = []
    for run in runs:
        counted = (run.forecast or {}).get("counted")
        if not counted or run.device != device or not run.seconds or not run.step:
            continue
        pace = run.seconds / (counted["step_flops"] * run.step)
        whole = run.whole_seconds or 0.0
        others = whole - run.seconds - pace * counted["evaluation_flops"]
        peak = run.result.get("peak_memory_bytes")
        found.append(
            Lesson(
                run.settings,
                counted["step_flops"],
                pace,
                max(others, 0.0) if whole > run.seconds else None,
                max(peak - growth * counted["step_bytes"], 0.0) if peak else None,
            )
        )
    return found


def learned(
    settings: RunSettings,
    step_flops: float,
    known: Sequence[Lesson],
    value: Callable[[Lesson], float | None],
) -> Estimate | None:
    """The nearest runs' `value`: median, and range never narrower than what is left open; None without."""
    for nearness in _NEAREST:
        near = (value(one) for one in known if nearness.holds(settings, step_flops, one))
        values = [one for one in near if one is not None][:LATEST]
        if values:
            median, spread = statistics.median(values), nearness.spread
            many = f"the last {len(values)} runs" if len(values) > 1 else "one run"
            low, high = min(*values, median / spread), max(*values, median * spread)
            return Estimate(median, low, high, f"as {many} {nearness.words} here")
    return None
