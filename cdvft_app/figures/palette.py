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

# Signed numbers, on white and on black: from zero, which is nearly the paper, each sign goes ever further
# from it in lightness. Their hues are no method's and no factor's.
NEGATIVE, POSITIVE = ("#A8611B", "#D8B182"), ("#7559B5", "#B3A3DA")
DIVERGING = tuple(
    (NEGATIVE[end], NEGATIVE[1 - end], "var(--plot-zero)", POSITIVE[1 - end], POSITIVE[end]) for end in (0, 1)
)
# Phases go round. All of middling lightness: a phase is the colour of thin bars on white and on black.
CYCLIC = ("#6E5E86", "#3F8CC0", "#8C9070", "#C2704F", "#6E5E86")


def css() -> str:
    """Return the palette as CSS variables, for light and for dark, and the dots of chips and lists in it."""
    light = {f"--method-{key}": method.light for key, method in METHODS.items()}
    dark = {f"--method-{key}": method.dark for key, method in METHODS.items()}
    both = {f"--factor-{name}": colours for name, colours in FACTOR_COLOURS.items()}
    both |= {"--negative": NEGATIVE, "--positive": POSITIVE}
    on_paper, on_dark = (", ".join(stops) for stops in DIVERGING)  # equally spaced
    both["--scale-diverging"] = on_paper, on_dark
    for name, (on_white, on_black) in both.items():
        light[name], dark[name] = on_white, on_black
    light["--scale-cyclic"] = ", ".join(CYCLIC)

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
