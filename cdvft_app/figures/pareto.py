"""Scores of settings against their cost, on a logarithmic axis, with the Pareto front and seed ranges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cdvft_app.figures import palette
from cdvft_app.methods import METHODS

MAX_LABELLED = 6  # so many points may carry their names


@dataclass(frozen=True)
class Mark:
    """One setting. `y` and `x` are means with their lowest and highest; `hover` is escaped HTML.

    `joined` says whether the method's line goes through it: it is the best of its size.
    """

    method: str
    label: str
    x: tuple[float, float, float]
    y: tuple[float, float, float]
    hover: str
    front: bool
    joined: bool


def figure(marks: Sequence[Mark], x_title: str, y_title: str, view: str) -> dict[str, Any] | None:
    """Return points by method, joined by the method's line; the front as a step line, its points ringed.

    A setting that costs nothing has no place on a logarithmic axis: it is a level line. None where no
    setting has a place. `view` stays the same while zoom shall stay.
    """
    placed = [mark for mark in marks if mark.x[0] > 0]
    if not placed:
        return None
    layout = palette.layout()
    start, end = _x_range(placed)
    layout["xaxis"] |= {
        "type": "log",
        "title": {"text": x_title, "standoff": 8},
        "tickformat": "~s",
        **_ticks(end - start),
        "showgrid": True,
        "showspikes": False,
        "range": [start, end],
    }
    layout["yaxis"] |= {"title": {"text": y_title, "standoff": 6}, "nticks": 7, "range": _y_range(marks)}
    costless = [mark for mark in marks if mark.x[0] <= 0]
    layout |= {
        "hovermode": "closest",
        "uirevision": view,
        "shapes": [_level_line(mark) for mark in costless],
        "annotations": [_level_label(mark) for mark in costless],
    }
    layout["margin"] |= {"t": 18, "r": 24}
    methods = [method for method in METHODS if any(mark.method == method for mark in placed)]
    own = {method: [mark for mark in placed if mark.method == method] for method in methods}
    lines = [_front(placed), *(_line(method, marks) for method, marks in own.items())]
    points = [_points(method, marks) for method, marks in own.items()]
    if len(placed) <= MAX_LABELLED:
        for trace in points:
            where = [(math.log10(x) - start) / (end - start) for x in trace["x"]]
            sides = ["right" if at < 0.25 else "left" if at > 0.75 else "center" for at in where]
            trace |= {"mode": "markers+text", "textposition": [f"top {side}" for side in sides]}
    return {"data": [*lines, *points], "layout": layout}


def _front(marks: Sequence[Mark]) -> dict[str, Any]:
    line = {"color": "var(--rule-strong)", "width": 1, "shape": "hv"}
    return _path("front", [mark for mark in marks if mark.front], line)


def _line(method: str, marks: Sequence[Mark]) -> dict[str, Any]:
    return _path(METHODS[method].title, [mark for mark in marks if mark.joined], palette.line(method))


def _path(name: str, marks: Sequence[Mark], line: dict[str, Any]) -> dict[str, Any]:
    """Return a line through the marks, from the cheapest to the dearest."""
    marks = sorted(marks, key=lambda mark: mark.x[0])
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [mark.x[0] for mark in marks],
        "y": [mark.y[0] for mark in marks],
        "line": line,
        "hoverinfo": "skip",
    }


def _points(method: str, marks: Sequence[Mark]) -> dict[str, Any]:
    color = f"var(--method-{method})"
    return {
        "type": "scatter",
        "mode": "markers",
        "name": METHODS[method].title,
        "x": [mark.x[0] for mark in marks],
        "y": [mark.y[0] for mark in marks],
        "error_x": _ranges([mark.x for mark in marks], color),
        "error_y": _ranges([mark.y for mark in marks], color),
        "text": [mark.label for mark in marks],
        "textfont": {"color": "var(--ink)"},
        "cliponaxis": False,
        "marker": {
            "opacity": 1,
            "color": color,
            "symbol": METHODS[method].marker,
            "size": [11 if mark.front else 8 for mark in marks],
            "line": {"color": "var(--ink)", "width": [2 if mark.front else 0 for mark in marks]},
        },
        "hovertext": [mark.hover for mark in marks],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _ranges(spans: Sequence[tuple[float, float, float]], color: str) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - mean for mean, _, high in spans],
        "arrayminus": [mean - low for mean, low, _ in spans],
        "visible": any(low < high for _, low, high in spans),
        "color": color,
        "thickness": 1.5,
        "width": 4,
    }


def _x_range(marks: Sequence[Mark]) -> tuple[float, float]:
    """Return the axis' start and end as powers of ten, with a little room around the marks."""
    low, high = math.log10(min(mark.x[1] for mark in marks)), math.log10(max(mark.x[2] for mark in marks))
    air = max(0.08 * (high - low), 0.02)
    return low - air, high + air


def _ticks(decades: float) -> dict[str, Any]:
    """Powers of ten; 1, 2 and 5 where there are few; the chart's own choice within a part of one."""
    if decades < 0.8:
        return {"nticks": 6}
    return {"dtick": "D2" if decades < 2.2 else 1}


def _y_range(marks: Sequence[Mark]) -> list[float]:
    """Return the axis' start and end, with a little room around all ranges and level lines."""
    low, high = min(mark.y[1] for mark in marks), max(mark.y[2] for mark in marks)
    air = 0.08 * (high - low) or 0.02 * abs(high) or 1.0
    return [low - air, high + 1.5 * air]


def _level_line(mark: Mark) -> dict[str, Any]:
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": mark.y[0],
        "y1": mark.y[0],
        "layer": "below",
        "line": palette.line(mark.method),
    }


def _level_label(mark: Mark) -> dict[str, Any]:
    return {
        "xref": "paper",
        "x": 1,
        "xanchor": "right",
        "y": mark.y[0],
        "yanchor": "bottom",
        "showarrow": False,
        "text": mark.label,
        "hovertext": mark.hover,
        "font": {"color": "var(--ink)", "size": 12},
    }
