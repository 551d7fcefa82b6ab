"""A sweep as the page draws it: its table, every heatmap and line, and its sentences, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import cast

from cdvft_app.figures.palette import METHOD_STYLES
from cdvft_app.judging.sweep_results import (
    Outcome,
    Rest,
    Setting,
    Spread,
    Value,
    ascending,
    comparable,
    line,
    settings_of,
    table,
    varied,
)
from cdvft_app.judging.sweep_sentences import sentences
from cdvft_app.judging.sweep_words import SYMBOLS, name, tick, value_text
from cdvft_app.payloads.compare import (
    SweepGiven,
    SweepHeatmap,
    SweepLines,
    SweepPoint,
    SweepSetting,
    SweepSpread,
)
from cdvft_app.settings import Method

TITLES = {
    "m": "m, diagonal vectors",
    "block_size": "p, block size",
    "lora_r": "r, rank",
    "fourierft_n": "n, entries a layer",
    "c3a_block_size": "b, block size",
    "learning_rates": "learning rate, times the recipe's",
}
Series = Mapping[str, tuple[Method, Sequence[Setting]]]


def payload(
    outcomes: Sequence[Outcome], metric_name: str | None, evaluation_examples: int | None
) -> SweepGiven:
    """Everything the page shows of these runs besides how far they are."""
    settings = settings_of(outcomes)
    methods = list(dict.fromkeys(one.method for one in settings))
    by_method = {method: [one for one in settings if one.method == method] for method in methods}
    return {
        "metric_name": metric_name,
        "settings": [_setting(one) for one in settings],
        "heatmaps": [heat for method in methods for heat in _heatmaps(method, by_method[method])],
        "lines": [
            *_rate_lines(by_method),
            *(one for method in methods for one in _lines(method, by_method[method])),
        ],
        "sentences": sentences(settings, metric_name or "", evaluation_examples),
    }


def _setting(one: Setting) -> SweepSetting:
    return {
        "method": one.method,
        "name": name(one),
        "values": {dimension: value for dimension, value in one.values.items() if value is not None},
        "spread": _spread(one.spread),
        "seeds": len(one.outcomes),
        "failed": one.failed,
        "parameters": one.parameters,
        "seconds": one.seconds,
    }


def _heatmaps(method: Method, settings: Sequence[Setting]) -> list[SweepHeatmap]:
    values = varied(settings)
    return [
        {
            "key": f"{method}:{down}:{across}",
            "method": method,
            "title": f"{METHOD_STYLES[method].label}: {SYMBOLS[down]} by {SYMBOLS[across]}",
            "rows": [value_text(down, value) for value in values[down]],
            "columns": [value_text(across, value) for value in values[across]],
            "over_others": len(values) > 2,
            "cells": {
                "mean": _cells(settings, down, across, "mean"),
                "best": _cells(settings, down, across, "best"),
            },
        }
        for down, across in combinations(values, 2)
    ]


def _lines(method: Method, settings: Sequence[Setting]) -> list[SweepLines]:
    """Along each dimension: one line, or one for each value of another dimension."""
    values = varied(settings)
    label = METHOD_STYLES[method].label
    charts = []
    for along in values:
        split = [other for other in values if other != along]
        if not split:
            charts.append(_chart(f"{method}:{along}", f"{label}: along {SYMBOLS[along]}", along,
                                 values[along], {label: (method, settings)}))  # fmt: skip
        for other in split:
            fair = comparable(settings, (along, other))
            series = {
                value_text(other, value): (method, [one for one in fair if one.values[other] == value])
                for value in values[other]
            }
            title = f"{label}: along {SYMBOLS[along]}, a line for each {SYMBOLS[other]}"
            charts.append(_chart(f"{method}:{along}:{other}", title, along, values[along], series))
    return charts


def _rate_lines(by_method: dict[Method, list[Setting]]) -> list[SweepLines]:
    """All methods along the one dimension they share."""
    shared = {method: ones for method, ones in by_method.items() if "learning_rates" in varied(ones)}
    if len(shared) < 2:
        return []
    rates = ascending({rate for ones in shared.values() for rate in varied(ones)["learning_rates"]})
    series = {METHOD_STYLES[method].label: (method, ones) for method, ones in shared.items()}
    title = "All methods: along the learning rate"
    return [_chart("all:learning_rates", title, "learning_rates", rates, series)]


def _chart(key: str, title: str, along: str, values: Sequence[Value], series: Series) -> SweepLines:
    return {
        "key": key,
        "title": title,
        "axis": TITLES[along],
        "ticks": [tick(along, value) for value in values],
        "series": [
            {
                "label": label,
                "method": method,
                "points": {"mean": _points(ones, along, "mean"), "best": _points(ones, along, "best")},
            }
            for label, (method, ones) in series.items()
        ],
    }


def _points(settings: Sequence[Setting], along: str, rest: Rest) -> list[SweepPoint]:
    found = ((value, _spread(spread)) for value, spread in line(settings, along, rest))
    return [{"at": tick(along, value), **spread} for value, spread in found if spread]


def _cells(settings: Sequence[Setting], down: str, across: str, rest: Rest) -> list[list[SweepSpread | None]]:
    return [[_spread(cell) for cell in row] for row in table(settings, down, across, rest)]


def _spread(spread: Spread | None) -> SweepSpread | None:
    return cast(SweepSpread, asdict(spread)) if spread else None
