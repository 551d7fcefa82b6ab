"""A sweep's runs in the store: their progress, and their results as JSON for the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations
from statistics import mean
from typing import cast

from cdvft_app import catalog
from cdvft_app.judging.compared_runs import (
    RATES,
    ComparedRun,
    Configuration,
    Reduction,
    Spread,
    Value,
    ascending,
    comparable,
    compared_run,
    configuration_label,
    configurations_of,
    line,
    symbol,
    table,
    tick_label,
    value_label,
    varied,
)
from cdvft_app.judging.comparison_sets import ComparisonSet, answer, judge_sweep, sentences
from cdvft_app.methods import METHODS
from cdvft_app.metrics import metric_title
from cdvft_app.payloads.compare import (
    SweepHeatmap,
    SweepLines,
    SweepPoint,
    SweepProgress,
    SweepResults,
    SweepSetting,
    SweepShown,
    SweepSpread,
)
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import FINAL, UNFINISHED


@dataclass(frozen=True)
class JudgedSweep:
    """A sweep's configurations, and the verdicts on them; `metric_name` is None before it is known."""

    metric_name: str | None
    configurations: list[Configuration]
    compared: ComparisonSet

    @classmethod
    def of(
        cls, runs: Sequence[ComparedRun], metric_name: str | None, family: int | None = None
    ) -> JudgedSweep:
        """Return the verdicts on a sweep's runs; `family` as `RunRecord.family`."""
        return cls(metric_name, configurations_of(runs), judge_sweep(runs, metric_name or "", family))

    @cached_property
    def sentences(self) -> list[str]:
        return sentences(self.configurations, self.compared)


def judged(runs: Sequence[RunRecord], store: RunStore) -> JudgedSweep:
    """Return the verdicts on the runs of one sweep of the store."""
    first = _first_finished(runs)
    return JudgedSweep.of([compared_run(run, store) for run in runs], first.metric_name, first.family)


def results(runs: Sequence[RunRecord], store: RunStore) -> SweepShown:
    """Return the results of one sweep's runs as the page shows them."""
    return {
        **payload(judged(runs, store)),
        "title": runs[0].name,
        "origin": origin(runs[0].settings),
        "device": _first_finished(runs).device,
        "created": runs[0].created,
    }


def _first_finished(runs: Sequence[RunRecord]) -> RunRecord:
    """Return the first run that has finished, else the first."""
    return next((run for run in runs if run.state == "finished"), runs[0])


def origin(settings: RunSettings) -> str:
    """Return the recipe and the budget that all runs of a sweep share, by the settings of one."""
    recipe = catalog.RECIPES.get(settings.recipe)
    return " · ".join(filter(None, [recipe.title if recipe else settings.recipe, budget(settings)]))


def budget(settings: RunSettings) -> str:
    """Return the examples and passes that all runs of a sweep have, by the settings of one."""
    parts = []
    if settings.train_examples:
        parts.append(f"{settings.train_examples:,} training examples")
    if settings.max_steps:
        parts.append(f"at most {settings.max_steps:,} steps")
    elif settings.epochs:
        parts.append(f"{settings.epochs:g} {'epoch' if settings.epochs == 1 else 'epochs'}")
    if settings.evaluation_examples:
        parts.append(f"{settings.evaluation_examples:,} evaluation examples")
    return " · ".join(parts)


def progress(runs: Sequence[RunRecord]) -> SweepProgress:
    """Return counts by state, and the seconds left: None until one run has finished.

    They are the finished runs' mean duration, preparation and evaluation included, times the number of runs
    that are left, as one worker takes them.
    """
    counts = Counter[str](run.state for run in runs)
    waiting = sum(counts[state] for state in UNFINISHED)
    wholes = (run.whole_seconds for run in runs if run.state == "finished")
    durations = [seconds for seconds in wholes if seconds is not None]
    return {
        "runs": len(runs),
        "states": dict(counts),
        "waiting": waiting,
        "ended": sum(counts[state] for state in FINAL),
        "seconds_left": mean(durations) * waiting if durations and waiting else None,
    }


Series = Mapping[str, tuple[str, Sequence[Configuration]]]


def payload(sweep: JudgedSweep) -> SweepResults:
    """Return everything that the page shows of a sweep, except progress."""
    configurations = sweep.configurations
    methods = list(dict.fromkeys(one.method for one in configurations))
    by_method = {method: [one for one in configurations if one.method == method] for method in methods}
    return {
        "metric_name": sweep.metric_name,
        "metric_title": metric_title(sweep.metric_name, short=True) if sweep.metric_name else None,
        "settings": [_setting(one) for one in configurations],
        "heatmaps": [heat for method in methods for heat in _heatmaps(method, by_method[method])],
        "lines": [
            *_rate_lines(by_method),
            *(one for method in methods for one in _lines(method, by_method[method])),
        ],
        "answer": answer(sweep.compared),
        "sentences": sweep.sentences,
    }


def _setting(one: Configuration) -> SweepSetting:
    return {
        "method": one.method,
        "name": configuration_label(one),
        "values": {dimension: value for dimension, value in one.values.items() if value is not None},
        "spread": _spread(one.spread),
        "seeds": len(one.runs),
        "failed": one.failed,
        "parameters": one.parameters,
        "seconds": one.seconds,
    }


def _heatmaps(method: str, configurations: Sequence[Configuration]) -> list[SweepHeatmap]:
    values = varied(configurations)
    return [
        {
            "key": f"{method}:{down}:{across}",
            "method": method,
            "title": f"{METHODS[method].title}: {symbol(method, down)} by {symbol(method, across)}",
            "rows": [value_label(method, down, value) for value in values[down]],
            "columns": [value_label(method, across, value) for value in values[across]],
            "over_others": len(values) > 2,
            "cells": {
                "mean": _cells(configurations, down, across, "mean"),
                "best": _cells(configurations, down, across, "best"),
            },
        }
        for down, across in combinations(values, 2)
    ]


def _lines(method: str, configurations: Sequence[Configuration]) -> list[SweepLines]:
    """Along each dimension: one line, or one for each value of another dimension."""
    values = varied(configurations)
    label = METHODS[method].title
    charts = []
    for along in values:
        split = [other for other in values if other != along]
        if not split:
            charts.append(_chart(f"{method}:{along}", f"{label}: along {symbol(method, along)}", along,
                                 values[along], {label: (method, configurations)}))  # fmt: skip
        for other in split:
            fair = comparable(configurations, (along, other))
            series = {
                value_label(method, other, value): (
                    method,
                    [one for one in fair if one.values[other] == value],
                )
                for value in values[other]
            }
            title = f"{label}: along {symbol(method, along)}, a line for each {symbol(method, other)}"
            charts.append(_chart(f"{method}:{along}:{other}", title, along, values[along], series))
    return charts


def _rate_lines(by_method: dict[str, list[Configuration]]) -> list[SweepLines]:
    """Return all methods along the one dimension they share."""
    shared = {method: ones for method, ones in by_method.items() if RATES in varied(ones)}
    if len(shared) < 2:
        return []
    rates = ascending({rate for ones in shared.values() for rate in varied(ones)[RATES]})
    series = {METHODS[method].title: (method, ones) for method, ones in shared.items()}
    title = "All methods: along the learning rate"
    return [_chart(f"all:{RATES}", title, RATES, rates, series)]


def _chart(key: str, title: str, along: str, values: Sequence[Value], series: Series) -> SweepLines:
    method, _ = next(iter(series.values()))  # all are of one method, or along the rate, which all share
    return {
        "key": key,
        "title": title,
        "axis": _axis_title(method, along),
        "ticks": [tick_label(method, along, value) for value in values],
        "series": [
            {
                "label": label,
                "method": method,
                "points": {"mean": _points(ones, along, "mean"), "best": _points(ones, along, "best")},
            }
            for label, (method, ones) in series.items()
        ],
    }


def _axis_title(method: str, along: str) -> str:
    if along == RATES:
        return "learning rate, times the recipe's"
    return METHODS[method].settings()[along].long


def _points(configurations: Sequence[Configuration], along: str, reduction: Reduction) -> list[SweepPoint]:
    spreads = ((value, _spread(spread)) for value, spread in line(configurations, along, reduction))
    return [
        {"at": tick_label(configurations[0].method, along, value), **spread}
        for value, spread in spreads
        if spread
    ]


def _cells(
    configurations: Sequence[Configuration], down: str, across: str, reduction: Reduction
) -> list[list[SweepSpread | None]]:
    return [[_spread(cell) for cell in row] for row in table(configurations, down, across, reduction)]


def _spread(spread: Spread | None) -> SweepSpread | None:
    return cast(SweepSpread, asdict(spread)) if spread else None
