"""Runs as they are compared: each with its score and costs, by configuration, and along dimensions.

All numbers here are means, extremes and counts of measured metrics; runs that have not ended are left out.
The labels of settings, dimensions and values are those of tables and sentences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean, mean, median
from typing import Literal

from cdvft_app import catalog
from cdvft_app.judging import row_scores
from cdvft_app.judging.judge import Contestant, Run
from cdvft_app.judging.row_scores import RowScores
from cdvft_app.methods import METHODS, ORDER
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import RunState

Value = float | int | None
RATES = "learning_rates"
"""The dimension that all methods share: multiples of each one's own rate."""
Reduction = Literal["mean", "best"]
"""How the dimensions that are not on an axis become one number: their mean, or the best
configuration."""


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """One run with its score and costs. `metric` is None unless it finished; it is over `rows` rows.

    `answers` is what it answered row by row; None where that was not kept. `flops` are those that the method
    added to the training. Of a run outside a history `id`, `group_id` and `name` are empty. `sweep`, `family`
    and `recorded` as of a `RunRecord`.
    """

    settings: RunSettings
    state: RunState
    metric: float | None
    metric_name: str = ""
    rows: int | None = None
    answers: RowScores | None = field(default=None, compare=False)
    parameters: int | None = None
    flops: int | None = None
    seconds: float | None = None
    memory: int | None = None
    steps: int = 0
    device: str = "an unknown device"
    id: str = ""
    group_id: str = ""
    name: str = ""
    sweep: bool = False
    family: int | None = None
    recorded: bool = False

    @property
    def method(self) -> str:
        return self.settings.method.key

    @property
    def ended(self) -> bool:
        return self.metric is not None or self.state == "failed"

    @cached_property
    def values(self) -> dict[str, Value]:
        """The run's value of each dimension that its method has."""
        return self.settings.method.sizes() | {RATES: rate_multiple(self.settings)}


def compared_run(record: RunRecord, store: RunStore | None = None) -> ComparedRun:
    """Return a run of a history; with what it answered row by row if the `store` that keeps it is given."""
    answers = store and record.metric_name and row_scores.of_run(store, record.id, record.metric_name)
    return ComparedRun(
        settings=record.settings,
        state=record.state,
        metric=record.metric if record.state == "finished" else None,
        metric_name=record.metric_name or "",
        rows=record.result.get("evaluation_examples"),
        answers=answers or None,
        parameters=record.trainable_parameters,
        seconds=record.seconds,
        memory=record.result.get("peak_memory_bytes"),
        steps=record.step,
        device=record.device or "an unknown device",
        id=record.id,
        group_id=record.group_id,
        name=record.name,
        sweep=record.sweep,
        family=record.family,
        recorded=record.recorded,
    )


def with_answers(runs: Iterable[ComparedRun], store: RunStore) -> list[ComparedRun]:
    """Return the same runs with what the store's runs answered row by row."""
    return [replace(one, answers=row_scores.of_run(store, one.id, one.metric_name)) for one in runs]


def is_scored(record: RunRecord) -> bool:
    """Return whether a run has finished with a score on evaluation rows, not on validation rows."""
    known = record.metric is not None and record.metric_name is not None
    return record.state == "finished" and known and record.settings.evaluate_on != "validation"


def contestant(label: str, runs: Iterable[ComparedRun]) -> Contestant:
    """Return the finished ones of the runs as one side of what is judged."""
    return Contestant(
        label,
        tuple(
            Run(run.settings.seed, run.metric, run.rows, run.answers)
            for run in runs
            if run.metric is not None
        ),
    )


@dataclass(frozen=True)
class Spread:
    """A quantity over runs, or a metric over seeds; `runs` is how many runs it was taken from."""

    mean: float
    low: float
    high: float
    runs: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(fmean(values), min(values), max(values), len(values))


@dataclass(frozen=True)
class Configuration:
    """All runs of one method with the same values, one or several a seed."""

    method: str
    values: Mapping[str, Value]
    runs: tuple[ComparedRun, ...]

    @cached_property
    def spread(self) -> Spread | None:
        return spread_over_seeds((one.settings.seed, one.metric) for one in self.runs)

    @property
    def failed(self) -> int:
        return sum(one.state == "failed" for one in self.runs)

    @property
    def parameters(self) -> int | None:
        return next((one.parameters for one in self.runs if one.parameters is not None), None)

    @property
    def seconds(self) -> float | None:
        """The median of its finished runs."""
        taken = [one.seconds for one in self.runs if one.metric is not None and one.seconds is not None]
        return median(taken) if taken else None


def rate_multiple(settings: RunSettings) -> float | None:
    """A run's learning rate as a multiple of its recipe's for the method; None where either is unknown."""
    recipe = catalog.RECIPES.get(settings.recipe)
    method = settings.method
    if recipe is None or method.learning_rate is None:
        return None if recipe is None else 1.0
    return float(f"{method.learning_rate / recipe.learning_rates[method.key]:.3g}")


def configuration_values(settings: RunSettings) -> dict[str, object]:
    """The values that the run's method uses, by name: all that tells its settings apart, but the seed."""
    method = settings.method
    return {
        **method.setting_values(),
        **({"target_modules": settings.target_modules} if method.adapter else {}),
        "learning_rate": method.learning_rate,
        **{
            name: getattr(settings, name)
            for name in ("schedule", "warmup_ratio", "weight_decay", "adam_beta1")
        },
    }


def configuration_key(settings: RunSettings) -> tuple[object, ...]:
    """Return a key that all seeds of one configuration share."""
    return (settings.method.key, *configuration_values(settings).values())


def configurations_of(runs: Sequence[ComparedRun]) -> list[Configuration]:
    """Return the configurations of a sweep, method by method, each dimension's values ascending."""
    groups: dict[tuple[str, tuple[tuple[str, Value], ...]], list[ComparedRun]] = {}
    for one in runs:
        groups.setdefault((one.settings.method.key, tuple(one.values.items())), []).append(one)
    found = [Configuration(method, dict(values), tuple(ones)) for (method, values), ones in groups.items()]
    return sorted(found, key=lambda one: (ORDER.index(one.method), *map(_ascending, one.values.values())))


def spread_over_seeds(scores: Iterable[tuple[int, float | None]]) -> Spread | None:
    """Return the mean, lowest and highest of the seeds' mean scores, from pairs of a seed and a score.

    None where there is no score.
    """
    by_seed: dict[int, list[float]] = {}
    for seed, score in scores:
        if score is not None:
            by_seed.setdefault(seed, []).append(score)
    if not by_seed:
        return None
    means = [mean(metrics) for metrics in by_seed.values()]
    return Spread(mean(means), min(means), max(means), sum(map(len, by_seed.values())))


def best(configurations: Sequence[Configuration]) -> Configuration | None:
    """Return the configuration with the highest mean; the first where two are equal."""
    finished = [one for one in configurations if one.spread]
    return max(finished, key=lambda one: one.spread.mean if one.spread else 0.0, default=None)


def reduce(configurations: Sequence[Configuration], reduction: Reduction) -> Spread | None:
    """Return many configurations as one number: their mean, or that of the best of them."""
    if reduction == "best":
        winner = best(configurations)
        return winner.spread if winner else None
    return spread_over_seeds((one.settings.seed, one.metric) for own in configurations for one in own.runs)


def varied(configurations: Sequence[Configuration]) -> dict[str, list[Value]]:
    """Return the dimensions with several values in these configurations of one method, and their values."""
    found: dict[str, list[Value]] = {}
    for name in dict.fromkeys(name for one in configurations for name in one.values):
        values = {one.values[name] for one in configurations if name in one.values}
        if len(values) > 1:
            found[name] = ascending(values)
    return found


def comparable(configurations: Sequence[Configuration], along: Sequence[str]) -> list[Configuration]:
    """Return the configurations with only the runs whose other values and seed all values of `along` have.

    A sweep that is still going has, say, the low learning rates of m = 3 but not yet the high ones; its mean
    could not be compared with that of m = 2. Values without any finished run are ignored in this.
    """
    rests: dict[tuple[Value, ...], set[tuple[object, ...]]] = {}
    for one in configurations:
        for run in one.runs:
            if run.metric is not None:
                rests.setdefault(_values_along(one, along), set()).add(_other_values(one, along, run))
    common = set.intersection(*rests.values()) if rests else set()
    return [
        replace(one, runs=tuple(run for run in one.runs if _other_values(one, along, run) in common))
        for one in configurations
    ]


def table(
    configurations: Sequence[Configuration], down: str, across: str, reduction: Reduction
) -> list[list[Spread | None]]:
    """Return rows are the values of `down`, columns those of `across`; cells are of comparable runs."""
    values = varied(configurations)
    cells: dict[tuple[Value, ...], list[Configuration]] = {}
    for one in comparable(configurations, (down, across)):
        cells.setdefault(_values_along(one, (down, across)), []).append(one)
    return [[reduce(cells.get((d, a), ()), reduction) for a in values[across]] for d in values[down]]


def line(
    configurations: Sequence[Configuration], along: str, reduction: Reduction
) -> list[tuple[Value, Spread | None]]:
    """Return the metric at each value of one dimension, of comparable runs."""
    groups: dict[Value, list[Configuration]] = {}
    for one in comparable(configurations, (along,)):
        groups.setdefault(one.values[along], []).append(one)
    return [(value, reduce(groups[value], reduction)) for value in sorted(groups, key=_ascending)]


def complete_seeds(configurations: Sequence[Configuration]) -> list[Configuration]:
    """Return the configurations with only the seeds whose runs have all ended; with all where none has."""
    open_seeds = {run.settings.seed for one in configurations for run in one.runs if not run.ended}
    every = {run.settings.seed for one in configurations for run in one.runs}
    kept = every - open_seeds or every
    return [
        replace(one, runs=tuple(run for run in one.runs if run.settings.seed in kept))
        for one in configurations
    ]


def _values_along(one: Configuration, along: Sequence[str]) -> tuple[Value, ...]:
    return tuple(one.values[name] for name in along)


def _other_values(one: Configuration, along: Sequence[str], run: ComparedRun) -> tuple[object, ...]:
    others = (value for name, value in one.values.items() if name not in along)
    return (*others, run.settings.seed)


def ascending(values: Iterable[Value]) -> list[Value]:
    return sorted(values, key=_ascending)


def _ascending(value: Value) -> float:
    """Return a sort key by which None, a layer's own block size, is the largest."""
    return float("inf") if value is None else float(value)


def symbol(method: str, dimension: str) -> str:
    """Return the name of a method's dimension in sentences."""
    return "learning rate" if dimension == RATES else METHODS[method].settings()[dimension].symbol


def value_label(method: str, dimension: str, value: Value) -> str:
    """Return the name of one value in tables and sentences: m = 2, p = 384 or learning rate × 0.3."""
    if dimension == RATES:
        return f"learning\u00a0rate\u00a0{tick_label(method, dimension, value)}"
    shown = "automatic" if value is None else f"{value:,}"
    return f"{symbol(method, dimension)}\u00a0=\u00a0{shown}"


def tick_label(method: str, dimension: str, value: Value) -> str:
    """Return the name of one value beside its axis: as `value_label`, but only × 0.3 for a learning rate."""
    return f"×\u00a0{value:g}" if dimension == RATES else value_label(method, dimension, value)


def configuration_label(one: Configuration) -> str:
    """CDVFT m = 2, p = 384, learning rate × 1; what is left to each layer is not named."""
    named = [
        value_label(one.method, dimension, value)
        for dimension, value in one.values.items()
        if value is not None
    ]
    return " ".join([METHODS[one.method].title, ", ".join(named)])
