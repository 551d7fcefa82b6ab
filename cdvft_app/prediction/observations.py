"""Estimates of the next run's seconds and bytes from finished runs and measured steps on the same device.

Each run yields three numbers: the seconds its training took for each FLOP that was counted for it, its
overhead (the seconds beside training), and how many bytes its process had beside those of a step. A measured
step yields the first alone. An estimate is the median over the most similar ones: of the same method, model
and data, else of the same method and model, else of the same model, else any long one; the latest of these.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from cdvft_app import catalog
from cdvft_app.catalog.entries import find_known_model
from cdvft_app.methods import flat
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import RunRecord

LATEST = 5
SAME_MAGNITUDE = 3.0
"""Numbers up to so many times more or less count as alike: small steps, say, take longer for each FLOP."""
MANY_STEPS = 30
"""Runs of so many steps have the pace of any longer one; in shorter ones the first steps weigh too much."""
SHORT_OVERHEAD = 2.0
"""A shorter run's overhead may be so many times more or less, as libraries are loaded once."""


@dataclass(frozen=True)
class Estimate:
    """A value with the range that it is expected in, and a sentence on where it comes from."""

    value: float
    low: float
    high: float
    how: str = ""

    def __add__(self, other: Estimate) -> Estimate:
        """Return the sum of both values and of both ends, with the sentence of the first."""
        return Estimate(self.value + other.value, self.low + other.low, self.high + other.high, self.how)

    def scaled(self, factor: float) -> Estimate:
        """Return the estimate of so many times the quantity."""
        return Estimate(factor * self.value, factor * self.low, factor * self.high, self.how)


@dataclass(frozen=True)
class Observation:
    """A finished run in numbers: steps, FLOPs of one and of all evaluations, seconds, bytes.

    `overhead_seconds` are those beside training, loading and evaluations; None for a run that was resumed,
    whose beginning is forgotten. `program_bytes`, beside a step's, are None where no memory was measured. Of
    a step that was `measured` by itself only the seconds a FLOP are known; `others` is the share of the
    processor that other programs took meanwhile.
    """

    settings: RunSettings
    steps: int
    step_flops: float
    evaluation_flops: float
    training_seconds: float
    overhead_seconds: float | None
    program_bytes: float | None
    measured: bool = False
    others: float = 0.0

    def seconds_per_flop(self) -> Estimate:
        """Return the seconds a FLOP of training; those of a short run may be its first steps' for the most
        part.

        Without other programs a measured step could have been as much shorter.
        """
        pace = self.training_seconds / (self.step_flops * self.steps)
        return Estimate(pace, pace * min(self.steps / MANY_STEPS, 1.0) * (1.0 - self.others), pace)

    def overhead(self, evaluation_flops: float) -> Estimate | None:
        """Return the seconds beside training of a run with evaluations of so many FLOPs.

        Of this run's, evaluations are what they would be at training's pace, or all there are: with the same
        evaluations it is what was measured. All could have been either, which the range leaves open.
        """
        if self.overhead_seconds is None:
            return None
        evaluating = min(self.seconds_per_flop().value * self.evaluation_flops, self.overhead_seconds)
        more = evaluation_flops / self.evaluation_flops
        slack = 1.0 if self.steps >= MANY_STEPS else SHORT_OVERHEAD
        return Estimate(
            self.overhead_seconds + evaluating * (more - 1),
            self.overhead_seconds * min(more, 1.0) / slack,
            self.overhead_seconds * max(more, 1.0) * slack,
        )

    def program_memory(self) -> Estimate | None:
        """Return the bytes beside a step's."""
        size = self.program_bytes
        return None if size is None else Estimate(size, size, size)


@dataclass(frozen=True)
class _Similarity:
    """The settings that must be equal, whether sizes must be alike, and the least factor of the range."""

    same: tuple[str, ...]
    alike: bool
    words: str
    spread: float

    def holds(self, settings: RunSettings, other: RunSettings) -> bool:
        return all(attrgetter(name)(other) == attrgetter(name)(settings) for name in self.same)


SIMILARITIES = (
    _Similarity(
        ("method.key", "model", "dataset"), True, "of the same method on the same model and data", 1.15
    ),
    _Similarity(("method.key", "model"), True, "of the same method on the same model", 1.4),
    _Similarity(("model",), True, "of other methods on the same model", 1.4),
    _Similarity(("model",), False, "on the same model, of another size or length", 2.5),
    _Similarity((), False, "of other models", 3.0),
)


def observed_runs(runs: Iterable[RunRecord], device: str, growth: float) -> list[Observation]:
    """Return the observations of the finished runs that had a forecast and trained on this device, latest
    first.

    Args:
        runs: finished ones.
        device: as `Started` names it.
        growth: real bytes of a step over those by formula.
    """
    found = []
    for run in runs:
        counts = (run.forecast or {}).get("counted")
        if not counts or run.device != device or not run.seconds or not run.step:
            continue
        whole = run.result.get("lent_seconds") or run.whole_seconds or 0.0
        peak = run.result.get("peak_memory_bytes")
        found.append(
            Observation(
                run.settings,
                run.step,
                counts["step_flops"],
                counts["evaluation_flops"],
                run.seconds,
                whole - run.seconds if whole > run.seconds else None,
                max(peak - growth * counts["step_bytes"], 0.0) if peak else None,
            )
        )
    return found


def observed_steps(results: Iterable[Mapping[str, Any]]) -> list[Observation]:
    """Return the observations of step times that were measured on this device, in their order.

    They are taken after warming up, and so count as those of a long run.
    """
    return [
        Observation(
            settings_of(result),
            MANY_STEPS,
            result["step_flops"],
            evaluation_flops=0.0,  # a measured step evaluates nothing
            training_seconds=MANY_STEPS * result["seconds"],
            overhead_seconds=None,
            program_bytes=None,
            measured=True,
            others=result["others"],
        )
        for result in results
        if "step_flops" in result  # earlier versions did not keep it
    ]


def settings_of(row: Mapping[str, Any]) -> RunSettings:
    """Return method, setting and model of a cost table's row or a measurement, as a run would have them."""
    named = find_known_model(row["model"])
    key = next((key for key in catalog.MODELS if named and find_known_model(key) is named), row["model"])
    method = flat.method_of(row["method"], row["setting"])
    return RunSettings.model_validate({"method": method, "model": key})


def same_magnitude(one: float, other: float) -> bool:
    """Return whether two positive numbers are at most `SAME_MAGNITUDE` times apart."""
    return 1 / SAME_MAGNITUDE <= one / other <= SAME_MAGNITUDE


def estimate(
    settings: RunSettings,
    observations: Sequence[Observation],
    value: Callable[[Observation], Estimate | None],
    alike: Callable[[Observation], bool],
) -> Estimate | None:
    """Return the median of the most similar observations, in a range that holds all of theirs; None without
    any.

    Args:
        settings: of the run to estimate for.
        observations: latest first.
        value: an observation's own value; None where it has none.
        alike: whether an observation is of a similar size, in the quantity that this value depends on.
    """
    for similarity in SIMILARITIES:
        near = [
            (one, of_it)
            for one in observations
            if similarity.holds(settings, one.settings)
            and (alike(one) or not similarity.alike)
            and (similarity.same or one.steps >= MANY_STEPS)
            if (of_it := value(one)) is not None
        ][:LATEST]
        if near:
            found = [of_it for _, of_it in near]
            median, spread = statistics.median(one.value for one in found), similarity.spread
            low = min(*(one.low for one in found), median / spread)
            high = max(*(one.high for one in found), median * spread)
            return Estimate(
                median, low, high, f"as {_sources(one for one, _ in near)} {similarity.words} here"
            )
    return None


def _sources(observed: Iterable[Observation]) -> str:
    """Return where an estimate comes from: "one run", "the last 3 runs", "one run and 2 measured steps"."""
    measured = [one.measured for one in observed]
    runs, steps = measured.count(False), measured.count(True)
    parts = [
        f"the last {runs} runs" if runs > 1 else "one run" if runs else "",
        f"{steps} measured steps" if steps > 1 else "one measured step" if steps else "",
    ]
    return " and ".join(filter(None, parts))
