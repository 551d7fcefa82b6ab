"""The learning curves: what each method's line looks like, and the axes they are drawn on.

The page fills in the points itself, since it receives only new ones; so that a curve drawn live and one drawn
from the history look alike, both take lines and layout from here.
"""

from __future__ import annotations

from typing import Any

from cdvft_app.figures.palette import METHOD_STYLES


def layout() -> dict[str, Any]:
    """A quiet plotly layout for lines over steps or seconds. Colours are CSS variables."""
    axis = {
        "gridcolor": "var(--plot-grid)",
        "linecolor": "var(--plot-axis)",
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": "var(--plot-axis)",
        "automargin": True,
    }
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "var(--font)", "size": 12, "color": "var(--ink-soft)"},
        "margin": {"l": 52, "r": 12, "t": 10, "b": 42},
        "showlegend": False,
        "hovermode": "x unified",
        "hoverlabel": {
            "bgcolor": "var(--paper)",
            "bordercolor": "var(--rule)",
            "font": {"family": "var(--font)", "size": 12, "color": "var(--ink)"},
        },
        "dragmode": "zoom",
        "xaxis": {
            **axis,
            "showgrid": False,
            "rangemode": "tozero",
            "spikecolor": "var(--plot-axis)",
            "spikethickness": 1,
            "spikedash": "solid",
        },
        "yaxis": axis,
    }


def lines() -> dict[str, dict[str, Any]]:
    """Each method's line and marker as plotly takes them."""
    return {
        method: {
            "label": style.label,
            "line": style.line(method),
            "marker": {"color": f"var(--method-{method})", "symbol": style.symbol, "size": 8},
        }
        for method, style in METHOD_STYLES.items()
    }
