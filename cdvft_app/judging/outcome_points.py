"""Finished runs as points of a chart, one a setting over its seeds, and the Pareto front among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from cdvft_app.costs.sentences import label
from cdvft_app.judging.judge import Contestant, Run, band
from cdvft_app.judging.outcomes import AXES, Comparison, Outcome
from cdvft_app.judging.row_scores import RowScores
from cdvft_app.judging.sweep_results import setting_key, setting_values
from cdvft_app.methods import METHODS, ORDER, Method

_PREFIXES = {
    "learning_rate": "rate ",
    "warmup_ratio": "warm-up ",
    "weight_decay": "weight decay ",
    "target_modules": "on ",
}


@dataclass(frozen=True)
class Span:
    """Mean, lowest and highest over the runs of one setting."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Span:
        return cls(fmean(values), min(values), max(values))


@dataclass(frozen=True)
class Point:
    """All runs of one setting, whatever their seeds. Settings of one `size` differ in hyperparameters."""

    method: str
    label: str
    size: tuple[object, ...]
    outcomes: tuple[Outcome, ...]
    metric: Span
    amounts: Mapping[str, Span | None]

    @cached_property
    def band(self) -> tuple[float, float]:
        """The judge's 95 % interval of its score; from the lowest to the highest where that is not known."""
        first = self.outcomes[0]
        runs = tuple(
            Run(one.settings.seed, one.metric, one.evaluation_examples, one.answers) for one in self.outcomes
        )
        return band(Contestant(self.label, runs), first.metric_name) or (self.metric.low, self.metric.high)

    def answers_of(self, run_id: str) -> RowScores | None:
        return next((one.answers for one in self.outcomes if one.id == run_id), None)

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted({outcome.settings.seed for outcome in self.outcomes}))


def points(comparison: Comparison) -> list[Point]:
    """One point a setting, by method and then by parameters."""
    settings: dict[tuple[object, ...], list[Outcome]] = {}
    for outcome in comparison.outcomes:
        settings.setdefault(setting_key(outcome.settings), []).append(outcome)
    varied = _varied(comparison.outcomes)
    all_points = [_point(own, varied) for own in settings.values()]
    return sorted(
        all_points, key=lambda point: (ORDER.index(point.method), _mean(point, "parameters"), point.label)
    )


def front(placed: Sequence[Point], axis: str) -> list[Point]:
    """The Pareto front, cheapest first: no other point scores as high for less, or higher for as much."""
    known = sorted(
        (point for point in placed if point.amounts.get(axis)), key=lambda p: (_mean(p, axis), -p.metric.mean)
    )
    kept: list[Point] = []
    for point in known:
        last = kept[-1] if kept else None
        level = last and (_mean(last, axis), last.metric.mean) == (_mean(point, axis), point.metric.mean)
        if last is None or level or point.metric.mean > last.metric.mean:
            kept.append(point)
    return kept


def _varied(outcomes: Sequence[Outcome]) -> dict[str, set[str]]:
    """By method, the settings beside its size that are not the same in all its runs."""
    seen: dict[str, dict[str, set[object]]] = {}
    for outcome in outcomes:
        for name, value in setting_values(outcome.settings).items():
            seen.setdefault(outcome.method, {}).setdefault(name, set()).add(value)
    return {
        key: {name for name, values in own.items() if len(values) > 1}
        - {name for name, one in METHODS[key].settings().items() if one.size}
        for key, own in seen.items()
    }


def _point(outcomes: Sequence[Outcome], varied: Mapping[str, set[str]]) -> Point:
    first = outcomes[0]
    method = first.settings.method
    sizes = method.sizes()
    extra = [
        _setting_text(method, name, value)
        for name, value in setting_values(first.settings).items()
        if name in varied[first.method]
    ]
    amounts = {axis.key: [outcome.amounts.get(axis.key) for outcome in outcomes] for axis in AXES}
    return Point(
        method=first.method,
        label=", ".join([label({"method": first.method, "setting": sizes}), *extra]),
        size=(*sizes.values(), first.settings.target_modules),
        outcomes=tuple(outcomes),
        metric=Span.of([outcome.metric for outcome in outcomes]),
        amounts={
            key: Span.of(known) if (known := [value for value in values if value is not None]) else None
            for key, values in amounts.items()
        },
    )


def _setting_text(method: Method, name: str, value: object) -> str:
    if name in method.settings():
        return method.settings()[name].text(value)
    text = (
        ", ".join(value)
        if isinstance(value, tuple)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
    return f"{_PREFIXES.get(name, '')}{text}"


def _mean(point: Point, axis: str) -> float:
    span = point.amounts.get(axis)
    return span.mean if span else 0.0
