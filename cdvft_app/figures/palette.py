"""One colour, dash and marker a method, the scales for numbers, and the axes: every picture takes them from
here.

Figures name colours as CSS variables ("var(--method-cdvft)"); the page looks them up when it draws, so that
light and dark follow by themselves. The method colours are those of Okabe and Ito, safe for colour-blind
readers; no meaning hangs on colour alone, so each line also has a dash and each point a marker.

The page fills in the points of learning curves itself, since it receives only new ones; a curve drawn live
and one drawn from the history look alike, since both take `lines` and `layout` from here.
"""

from __future__ import annotations

from typing import Any

from cdvft_app.methods import METHODS

# Of CDVFT's factors, on white and on black. Their hues are no method's and no end of a scale: a circulant is
# also C3A's, and a diagonal VeRA's.
FACTOR_COLOURS = {
    "input": ("#6F8A00", "#BEDD3E"),
    "circulant": ("#A62BA6", "#E97FEE"),
    "output": ("#004E58", "#23889A"),
}

# Never rainbow: signed numbers diverge from the paper, magnitudes deepen one hue, phases go round. No
# hue of them is a method's or a factor's.
NEGATIVE, POSITIVE = "#A8611B", "#7559B5"
DIVERGING = [[0, NEGATIVE], [0.25, "#D8B182"], [0.5, "var(--plot-zero)"], [0.75, "#B3A3DA"], [1, POSITIVE]]
SEQUENTIAL = [[0, "var(--plot-zero)"], [0.5, "#B3A3DA"], [1, POSITIVE]]
# All of middling lightness: a phase is the colour of thin bars on white and on black.
CYCLIC = [[0, "#6E5E86"], [0.25, "#3F8CC0"], [0.5, "#8C9070"], [0.75, "#C2704F"], [1, "#6E5E86"]]

# The same scales for what the page draws on a canvas: equally spaced stops in --scale-<name>.
SCALES = {"diverging": DIVERGING, "sequential": SEQUENTIAL, "cyclic": CYCLIC}


def css() -> str:
    """Return the palette as CSS variables, for light and for dark, and the dots of chips and lists in it."""
    light = {f"--method-{key}": method.light for key, method in METHODS.items()}
    dark = {f"--method-{key}": method.dark for key, method in METHODS.items()}
    light |= {"--negative": NEGATIVE, "--positive": POSITIVE}
    for name, stops in SCALES.items():
        # In both, since a variable inside is looked up where the scale is declared.
        light[f"--scale-{name}"] = dark[f"--scale-{name}"] = ", ".join(str(color) for _, color in stops)
    for name, (on_white, on_black) in FACTOR_COLOURS.items():
        light[f"--factor-{name}"], dark[f"--factor-{name}"] = on_white, on_black

    def block(selector: str, variables: dict[str, str]) -> str:
        return f"{selector} {{ " + " ".join(f"{name}: {value};" for name, value in variables.items()) + " }"

    dots = "\n".join(
        f'.gradio-container [name="{key}"], .dot.{key} {{ --dot: var(--method-{key}); }}' for key in METHODS
    )
    return "\n".join([block(":root", light), block(".dark", dark), dots])


def layout() -> dict[str, Any]:
    """Return a quiet plotly layout for lines over steps or seconds. Colours are CSS variables."""
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
            "nticks": 5,
            "spikecolor": "var(--plot-axis)",
            "spikethickness": 1,
            "spikedash": "solid",
        },
        "yaxis": {**axis, "nticks": 5},
    }


def line(key: str) -> dict[str, Any]:
    """Return the line of the method with this key, as plotly takes it."""
    return {"color": f"var(--method-{key})", "dash": METHODS[key].dash, "width": METHODS[key].width}


def lines() -> dict[str, dict[str, Any]]:
    """Return each method's title, line and marker, as plotly takes them."""
    return {
        key: {
            "label": method.title,
            "line": line(key),
            "marker": {"color": f"var(--method-{key})", "symbol": method.marker, "size": 8},
        }
        for key, method in METHODS.items()
    }
