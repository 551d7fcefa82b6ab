"""The scores of finished runs against their costs, in a chart, sentences and a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from cdvft_app.figures import palette, pareto
from cdvft_app.format import amount, plain
from cdvft_app.judging.compared_runs import ComparedRun, Spread, compared_run, is_scored, with_answers
from cdvft_app.judging.outcomes import (
    AXES,
    Axis,
    Comparison,
    Point,
    comparisons,
    front,
    judge_points,
    points,
    sentences,
    with_flops,
)
from cdvft_app.metrics import Metric, get_metric, metric_title
from cdvft_app.payloads.compare import Comparison as Compared
from cdvft_app.payloads.compare import NoOutcomes, Outcomes, OutcomesRequest
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.state import AppState

MAX_RUNS = 300
_LOOKED_THROUGH = 1000  # of the history, which holds unfinished runs too


def section(app: AppState) -> gr.HTML:
    """Return the section, as the Compare tab shows it."""
    return component(
        "compare/outcomes.js",
        None,
        first=_of_recorded_race(app.store),
        slow_functions={"outcomes": partial(outcomes, app)},
        lines=palette.lines(),
        elem_id="outcomes",
    )


def outcomes(app: AppState, request: OutcomesRequest) -> Outcomes | NoOutcomes:
    """Return the comparison that is chosen, or the latest one; counting its FLOPs needs torch."""
    offered = comparisons(_finished(app.store))
    if not offered:
        return {"choices": []}
    chosen = next((one for one in offered if one.key == request.get("chosen")), offered[0])
    return _shown(app.store, offered, chosen, count_flops=request.get("flops", False))


def _shown(
    store: RunStore,
    offered: Sequence[Comparison],
    chosen: Comparison,
    *,
    count_flops: bool = False,
) -> Outcomes:
    """Return the payload of one of the comparisons that are offered."""
    first = chosen.runs[0]
    known = with_answers(chosen.runs, store)
    comparison = Comparison(tuple(with_flops(known) if count_flops else known))
    return {
        "choices": [(one.key, one.title) for one in offered],
        "chosen": chosen.key,
        "recorded": first.recorded,
        "origin": f"recorded {store.recorded()[0].origin}" if first.recorded else first.device,
        "counted": count_flops,
        **_view(comparison),
    }


def _of_recorded_race(store: RunStore) -> Outcomes | None:
    """Return the comparison that the page shows until it has read the runs of this server."""
    offered = comparisons(_outcomes(store.recorded()))
    return _shown(store, offered, offered[0]) if offered else None


def _finished(store: RunStore) -> list[ComparedRun]:
    """Return the latest finished runs, then those of the recorded race."""
    return [*_outcomes(store.history(_LOOKED_THROUGH))[:MAX_RUNS], *_outcomes(store.recorded())]


def _outcomes(runs: Iterable[RunRecord]) -> list[ComparedRun]:
    return [compared_run(run) for run in runs if is_scored(run)]


def _view(comparison: Comparison) -> Compared:
    all_points = points(comparison)
    compared = judge_points(all_points)
    fronts = {axis.key: front(all_points, axis.key) for axis in AXES}
    first = comparison.runs[0]
    what = metric_title(first.metric_name)
    rows = f"{first.rows:,} rows" if first.rows else "rows"
    return {
        "subtitle": f"{what} on {rows} that were not trained on",
        "axes": [{"key": axis.key, "title": axis.title, "hint": axis.hint} for axis in AXES],
        "figures": {axis.key: _figure(comparison, all_points, axis, fronts[axis.key]) for axis in AXES},
        "sentences": {axis.key: sentences(all_points, axis, compared) for axis in AXES},
        "methods": list(dict.fromkeys(point.method for point in all_points)),
        "columns": [
            "Setting",
            "Seeds",
            what,
            "Lowest to highest",
            *(axis.title for axis in AXES),
        ],
        "rows": [
            {
                "cells": _cells(point),
                "numbers": _numbers(point),
                "front": [key for key, members in fronts.items() if point in members],
            }
            for point in all_points
        ],
        "runs": [_exported(point, run) for point in all_points for run in point.runs],
    }


def _figure(
    comparison: Comparison, all_points: Sequence[Point], axis: Axis, members: Sequence[Point]
) -> dict[str, Any] | None:
    name = comparison.runs[0].metric_name
    scale = 100 if get_metric(name).percent else 1
    best: dict[tuple[object, ...], Point] = {}  # of those that differ in tuning alone
    for point in all_points:
        size = (point.method, point.size)
        best[size] = max(best.get(size, point), point, key=lambda one: one.metric.mean)
    marks = [
        pareto.Mark(
            method=point.method,
            label=escape(point.label),
            x=(span.mean, span.low, span.high),
            y=(scale * point.metric.mean, scale * point.band[0], scale * point.band[1]),
            hover=_hover(point),
            front=point in members,
            joined=best[point.method, point.size] is point,
        )
        for point in all_points
        if (span := point.amounts.get(axis.key))
    ]
    what = metric_title(name)
    return pareto.figure(
        marks,
        f"{axis.title}, bytes" if axis.kind == "bytes" else axis.title,
        f"{what}, %" if scale == 100 else what,
        f"{comparison.key} {axis.key}",
    )


def _hover(point: Point) -> str:
    metric = get_metric(point.runs[0].metric_name)
    low, high = (metric.format(end) for end in point.band)
    band = f", 95 % interval {low} to {high}" if low != high else ""
    known = [(axis, span) for axis in AXES if (span := point.amounts.get(axis.key))]
    lines = [
        f"<b>{escape(point.label)}</b>",
        f"{_range(metric, point.metric)}{band}",
        _seeds(point),
        *(f"{axis.title}: {amount(axis.kind, span.mean)}" for axis, span in known),
    ]
    return "<br>".join(lines)


def _range(metric: Metric, span: Spread) -> str:
    spread = f" ({metric.format(span.low)} to {metric.format(span.high)})" if span.low < span.high else ""
    return f"{metric.format(span.mean)}{spread}"


def _seeds(point: Point) -> str:
    seeds, count = point.seeds, len(point.runs)
    listed = ", ".join(map(str, seeds[:5])) + (" …" if len(seeds) > 5 else "")
    runs = f", {count} runs" if count > len(seeds) else ""
    return f"seed{'s' if len(seeds) > 1 else ''} {listed}{runs}"


def _cells(point: Point) -> list[str]:
    metric = get_metric(point.runs[0].metric_name)
    spans = [(axis, point.amounts.get(axis.key)) for axis in AXES]
    return [
        point.label,
        f"{len(point.seeds)} ({_seeds(point)})",
        metric.format(point.metric.mean),
        f"{metric.format(point.metric.low)} to {metric.format(point.metric.high)}"
        if len(point.runs) > 1
        else "–",
        *(amount(axis.kind, span.mean) if span else "–" for axis, span in spans),
    ]


def _numbers(point: Point) -> list[Any]:
    """Return the cells for a file: numbers without units, bytes, seconds, shares of one."""
    spans = [point.amounts.get(axis.key) for axis in AXES]
    seeds, spread = ", ".join(map(str, point.seeds)), f"{point.metric.low} to {point.metric.high}"
    amounts = [span.mean if span else None for span in spans]
    return [plain(point.label), seeds, point.metric.mean, spread, *amounts]


def _exported(point: Point, run: ComparedRun) -> dict[str, Any]:
    """Return a run for a file, with its settings beside its numbers."""
    return {
        "run": run.id,
        "name": run.name,
        "recorded": run.recorded,
        "setting": plain(point.label),
        "metric_name": run.metric_name,
        "metric": run.metric,
        "evaluation_examples": run.rows,
        "steps": run.steps,
        "device": run.device,
        "trainable_parameters": run.parameters,
        "extra_flops": run.flops,
        "training_seconds": run.seconds,
        "peak_memory_bytes": run.memory,
        **run.settings.model_dump(mode="json", exclude_none=True),
    }
