"""What the figures of the evidence page have in common: files, quiet axes, lines and marks of methods."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cdvft_app.figures import palette
from cdvft_app.methods import METHODS

RESULTS = Path(__file__).parents[1] / "results"
PANEL_GAP = 0.1  # of a panel's width
WIDE_GAP, ROW_GAP = 0.24, 0.44  # of its width and height, where panels have y axes and names of their own


def read(name: str) -> dict[str, Any]:
    """A record of benchmarks/results."""
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def figure(
    data: list[dict[str, Any]],
    x: dict[str, Any] | list[dict[str, Any]],
    y: dict[str, Any] | list[dict[str, Any]],
    **layout: Any,
) -> dict[str, Any]:
    """Without legend or tools: what is drawn stands at its lines, the numbers below.

    Several x axes are panels beside each other with one y axis, or with a y axis each in rows of two
    (`domains`); a trace names its own: "x2", "y2".
    """
    whole = palette.layout()
    usual = whole.pop("xaxis") | {"rangemode": "normal", "showspikes": False}
    panels = x if isinstance(x, list) else [x]
    heights = y if isinstance(y, list) else [y]
    usual_y = whole.pop("yaxis")
    for place, own in enumerate(panels):
        number = place + 1 if place else ""
        if len(heights) > 1:
            across, up = domains(place, len(panels))
            whole[f"xaxis{number}"] = usual | {"domain": across, "anchor": f"y{number}"} | own
            whole[f"yaxis{number}"] = usual_y | {"domain": up, "anchor": f"x{number}"} | heights[place]
        else:
            end = (place + 1 - (PANEL_GAP if len(panels) > 1 else 0)) / len(panels)
            whole[f"xaxis{number}"] = usual | {"domain": [place / len(panels), end]} | own
    if len(heights) == 1:
        whole["yaxis"] = usual_y | heights[0]
    whole |= {"hovermode": "closest", "dragmode": False, "margin": {"l": 48, "r": 10, "t": 30, "b": 36}}
    return {"data": data, "layout": whole | layout, "config": {"displayModeBar": "hover"}}


def domains(place: int, panels: int) -> tuple[list[float], list[float]]:
    """What a panel in rows of two takes of the figure's width and height, from its left and its bottom."""
    row, column = divmod(place, 2)
    width, rows = 1 / (2 + WIDE_GAP), (panels + 1) // 2
    height = 1 / (rows + (rows - 1) * ROW_GAP)
    left, top = column * width * (1 + WIDE_GAP), 1 - row * height * (1 + ROW_GAP)
    return [left, left + width], [max(0.0, top - height), top]


def axis(title: str, log: bool = False, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"title": {"text": title, "standoff": 6}, "nticks": 5}
    return found | ({"type": "log", "dtick": 1, "exponentformat": "power"} if log else {}) | more


def name_of_y(text: str, x: float = 0, y: float = 1) -> dict[str, Any]:
    """An axis' name above it and its topmost tick, where it may be longer than the figure is high.

    x and y are the axis' upper end, of the figure's width and height.
    """
    return {
        "text": text, "xref": "paper", "yref": "paper", "x": x, "y": y,
        "xanchor": "left", "yanchor": "bottom", "showarrow": False, "xshift": -40, "yshift": 10,
    }  # fmt: skip


def at_line(text: str, x: float, y: float, method: str) -> dict[str, Any]:
    """A name left of a line's first point, in its method's colour; on log axes x and y are logarithms."""
    return {
        "text": text, "x": x, "y": y, "xanchor": "right", "xshift": -8, "showarrow": False,
        "font": {"color": f"var(--method-{method})"},
    }  # fmt: skip


def at_level(text: str, x: float, y: float, method: str) -> dict[str, Any]:
    """A name on a level line's left end, in its method's colour; on log axes x and y are logarithms."""
    return at_line(text, x, y, method) | {"xanchor": "left", "yanchor": "bottom", "xshift": 4}


def of_method(method: str, x: Sequence[Any], y: Sequence[Any], mode: str, **more: Any) -> dict[str, Any]:
    """A trace in the method's colour, dash and marker."""
    return {
        "type": "scatter", "mode": mode, "name": METHODS[method].title, "x": list(x), "y": list(y),
        "line": palette.line(method),
        "marker": {"color": f"var(--method-{method})", "symbol": METHODS[method].marker, "size": 7},
    } | more  # fmt: skip


def thin_line(x: Sequence[Any], y: Sequence[Any]) -> dict[str, Any]:
    """A thin dotted line to compare with: a bound, a base, or equality."""
    return {
        "type": "scatter", "mode": "lines", "x": list(x), "y": list(y), "hoverinfo": "skip",
        "line": {"color": "var(--ink-soft)", "width": 1, "dash": "dot"},
    }  # fmt: skip


def of_machine(machine: dict[str, Any]) -> str:
    return f"{machine['cpu']}, torch {machine['torch']}"
