"""What a sweep's runs gave: one line a setting over its seeds, and tables of two or one of its dimensions.

All numbers here are means, extremes and counts of measured metrics; a run that has not ended counts nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import mean, median
from typing import Literal

from cdvft_app import catalog
from cdvft_app.methods import ORDER
from cdvft_app.settings import RunSettings

Value = float | int | None
RATES = "learning_rates"
"""The dimension that all methods share: multiples of each one's own rate."""
Rest = Literal["mean", "best"]


@dataclass(frozen=True)
class Outcome:
    """One run: what it varied, and how it ended. `metric` is None unless it finished."""

    settings: RunSettings
    state: str
    metric: float | None
    parameters: int | None
    seconds: float | None = None

    @property
    def ended(self) -> bool:
        return self.metric is not None or self.state == "failed"

    @cached_property
    def values(self) -> dict[str, Value]:
        """What the run has of each dimension that its method uses."""
        return self.settings.method.sizes() | {RATES: rate_multiple(self.settings)}


@dataclass(frozen=True)
class Spread:
    """A metric over seeds; `runs` is how many runs it was taken from."""

    mean: float
    low: float
    high: float
    runs: int


@dataclass(frozen=True)
class Setting:
    """All seeds of one method with the same values."""

    method: str
    values: Mapping[str, Value]
    outcomes: tuple[Outcome, ...]

    @cached_property
    def spread(self) -> Spread | None:
        return over_seeds(self.outcomes)

    @property
    def failed(self) -> int:
        return sum(one.state == "failed" for one in self.outcomes)

    @property
    def parameters(self) -> int | None:
        return next((one.parameters for one in self.outcomes if one.parameters is not None), None)

    @property
    def seconds(self) -> float | None:
        """The median of its finished runs."""
        taken = [one.seconds for one in self.outcomes if one.metric is not None and one.seconds is not None]
        return median(taken) if taken else None


def rate_multiple(settings: RunSettings) -> float | None:
    """A run's learning rate as a multiple of its recipe's for the method; None where either is unknown."""
    recipe = catalog.recipes().get(settings.recipe)
    method = settings.method
    if recipe is None or method.learning_rate is None:
        return None if recipe is None else 1.0
    return float(f"{method.learning_rate / recipe.learning_rates[method.key]:.3g}")


def settings_of(outcomes: Sequence[Outcome]) -> list[Setting]:
    """The settings of a sweep, method by method, each dimension's values ascending."""
    groups: dict[tuple[str, tuple[tuple[str, Value], ...]], list[Outcome]] = {}
    for one in outcomes:
        groups.setdefault((one.settings.method.key, tuple(one.values.items())), []).append(one)
    found = [Setting(method, dict(values), tuple(ones)) for (method, values), ones in groups.items()]
    return sorted(found, key=lambda one: (ORDER.index(one.method), *map(_ascending, one.values.values())))


def over_seeds(outcomes: Sequence[Outcome]) -> Spread | None:
    """The mean of the seeds' means, and the lowest and highest of them."""
    by_seed: dict[int, list[float]] = {}
    for one in outcomes:
        if one.metric is not None:
            by_seed.setdefault(one.settings.seed, []).append(one.metric)
    if not by_seed:
        return None
    means = [mean(metrics) for metrics in by_seed.values()]
    return Spread(mean(means), min(means), max(means), sum(map(len, by_seed.values())))


def best(settings: Sequence[Setting]) -> Setting | None:
    """The setting with the highest mean; the one that comes first where two are equal."""
    finished = [one for one in settings if one.spread]
    return max(finished, key=lambda one: one.spread.mean if one.spread else 0.0, default=None)


def reduce(settings: Sequence[Setting], rest: Rest) -> Spread | None:
    """Many settings as one number: their mean, or that of the best of them."""
    if rest == "best":
        winner = best(settings)
        return winner.spread if winner else None
    return over_seeds([one for setting in settings for one in setting.outcomes])


def varied(settings: Sequence[Setting]) -> dict[str, list[Value]]:
    """The dimensions that have several values in these settings of one method, with their values."""
    found: dict[str, list[Value]] = {}
    for name in dict.fromkeys(name for one in settings for name in one.values):
        values = {one.values[name] for one in settings if name in one.values}
        if len(values) > 1:
            found[name] = ascending(values)
    return found


def comparable(settings: Sequence[Setting], along: Sequence[str]) -> list[Setting]:
    """These settings with only the runs that every value of `along` has: the same others, the same seeds.

    A sweep that is still going has, say, the low learning rates of m = 3 but not yet the high ones; its mean
    would not be that of m = 2. Values without any finished run ask for nothing.
    """
    rests: dict[tuple[Value, ...], set[tuple[object, ...]]] = {}
    for one in settings:
        for outcome in one.outcomes:
            if outcome.metric is not None:
                rests.setdefault(_at(one, along), set()).add(_rest(one, along, outcome))
    common = set.intersection(*rests.values()) if rests else set()
    return [
        replace(one, outcomes=tuple(run for run in one.outcomes if _rest(one, along, run) in common))
        for one in settings
    ]


def table(settings: Sequence[Setting], down: str, across: str, rest: Rest) -> list[list[Spread | None]]:
    """Rows are the values of `down`, columns those of `across`; cells are of comparable runs."""
    values = varied(settings)
    cells: dict[tuple[Value, ...], list[Setting]] = {}
    for one in comparable(settings, (down, across)):
        cells.setdefault(_at(one, (down, across)), []).append(one)
    return [[reduce(cells.get((d, a), ()), rest) for a in values[across]] for d in values[down]]


def line(settings: Sequence[Setting], along: str, rest: Rest) -> list[tuple[Value, Spread | None]]:
    """The metric at each value of one dimension, of comparable runs."""
    groups: dict[Value, list[Setting]] = {}
    for one in comparable(settings, (along,)):
        groups.setdefault(one.values[along], []).append(one)
    return [(value, reduce(groups[value], rest)) for value in sorted(groups, key=_ascending)]


def whole_seeds(settings: Sequence[Setting]) -> list[Setting]:
    """Only the seeds of which every run has ended, where there is one; else all."""
    open_seeds = {run.settings.seed for one in settings for run in one.outcomes if not run.ended}
    every = {run.settings.seed for one in settings for run in one.outcomes}
    kept = every - open_seeds or every
    return [
        replace(one, outcomes=tuple(run for run in one.outcomes if run.settings.seed in kept))
        for one in settings
    ]


def _at(one: Setting, along: Sequence[str]) -> tuple[Value, ...]:
    return tuple(one.values[name] for name in along)


def _rest(one: Setting, along: Sequence[str], run: Outcome) -> tuple[object, ...]:
    others = (value for name, value in one.values.items() if name not in along)
    return (*others, run.settings.seed)


def ascending(values: Iterable[Value]) -> list[Value]:
    return sorted(values, key=_ascending)


def _ascending(value: Value) -> float:
    """None (a layer's own block size) is the largest."""
    return float("inf") if value is None else float(value)
