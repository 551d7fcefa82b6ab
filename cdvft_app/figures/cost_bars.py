"""One quantity of every method as bars on a logarithmic axis, with the frozen model's own as baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cdvft_app.figures import palette

BAR_PIXELS = 34
FRAME_PIXELS = 62
_YARDSTICK = "var(--rule-strong)"


@dataclass(frozen=True)
class Bar:
    """`method` None is the frozen model itself; `text` stands at the bar's end, `hint` shows on hover.

    `low` and `high` bound a measured value.
    """

    method: str | None
    label: str
    value: float
    text: str
    hint: str
    low: float | None = None
    high: float | None = None


def figure(bars: Sequence[Bar], title: str) -> dict[str, Any] | None:
    """Return the bars from top to bottom, the baseline's as a dashed line too; None where there is nothing to
    draw.

    A bar of zero has no place on a logarithmic axis and is left out.
    """
    drawn = [bar for bar in bars if bar.value > 0]
    if not any(bar.method for bar in drawn):
        return None
    baseline = next((bar for bar in drawn if bar.method is None), None)
    layout = palette.layout()
    layout["xaxis"] |= {
        "type": "log",
        "title": {"text": title, "standoff": 8},
        "showgrid": True,
        "range": _x_range(drawn),
        "exponentformat": "SI",
        "dtick": 1,
    }
    layout["yaxis"] |= {"autorange": "reversed", "showgrid": False, "ticks": "", "linecolor": "rgba(0,0,0,0)"}
    layout |= {
        "hovermode": "closest",
        "bargap": 0.42,
        "dragmode": False,
        "uirevision": title,
        "height": FRAME_PIXELS + BAR_PIXELS * len(drawn),
        "shapes": [_line(baseline.value)] if baseline else [],
        "annotations": [_beyond_whisker(bar) for bar in drawn if bar.high is not None],
    }
    layout["margin"] |= {"l": 12, "r": 84}
    return {"data": [_trace(bar) for bar in drawn], "layout": layout}


def _trace(bar: Bar) -> dict[str, Any]:
    spread = (
        {
            "error_x": {
                "type": "data",
                "symmetric": False,
                "array": [bar.high - bar.value],
                "arrayminus": [bar.value - bar.low],
                "color": "var(--ink)",
                "thickness": 1,
                "width": 4,
            }
        }
        if bar.low is not None and bar.high is not None
        else {}
    )
    return {
        "type": "bar",
        "orientation": "h",
        "name": bar.label,
        "x": [bar.value],
        "y": [bar.label],
        "text": [bar.text if bar.high is None else ""],
        "textposition": "outside",
        "cliponaxis": False,
        "textfont": {"color": "var(--ink)"},
        "marker": {"color": f"var(--method-{bar.method})" if bar.method else _YARDSTICK},
        "hovertemplate": f"<b>{bar.label}</b><br>{bar.text}<br>{bar.hint}<extra></extra>",
        **spread,
    }


def _beyond_whisker(bar: Bar) -> dict[str, Any]:
    """Return the bar's text, where plotly's own place for it is taken."""
    assert bar.high is not None
    return {
        "x": math.log10(bar.high),
        "y": bar.label,
        "text": bar.text,
        "xanchor": "left",
        "xshift": 6,
        "showarrow": False,
        "font": {"color": "var(--ink)"},
    }


def _x_range(bars: Sequence[Bar]) -> list[float]:
    """Return the axis' ends as powers of ten: from one below the smallest bar, which then shows, to the
    largest."""
    exponents = [math.log10(max(bar.value, bar.high or 0)) for bar in bars]
    return [math.floor(min(exponents) - 0.3), max(exponents) + 0.05]


def _line(at: float) -> dict[str, Any]:
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": at,
        "x1": at,
        "y0": 0,
        "y1": 1,
        "layer": "below",
        "line": {"color": _YARDSTICK, "width": 1, "dash": "dash"},
    }
