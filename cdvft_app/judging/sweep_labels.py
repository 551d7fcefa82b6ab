"""How a sweep's tables and sentences name its settings, dimensions and values."""

from __future__ import annotations

from cdvft_app.judging.sweep_results import RATES, Setting, Value
from cdvft_app.methods import METHODS


def symbol(method: str, dimension: str) -> str:
    """How a sentence calls a dimension of a method."""
    return "learning rate" if dimension == RATES else METHODS[method].settings()[dimension].symbol


def value_label(method: str, dimension: str, value: Value) -> str:
    """m = 2, p = 384, learning rate × 0.3: how a table and a sentence name one value."""
    if dimension == RATES:
        return f"learning\u00a0rate\u00a0{tick_label(method, dimension, value)}"
    shown = "automatic" if value is None else f"{value:,}"
    return f"{symbol(method, dimension)}\u00a0=\u00a0{shown}"


def tick_label(method: str, dimension: str, value: Value) -> str:
    """As `value_label`, but × 0.3 where what is multiplied stands beside it."""
    return f"×\u00a0{value:g}" if dimension == RATES else value_label(method, dimension, value)


def setting_label(setting: Setting) -> str:
    """CDVFT m = 2, p = 384, learning rate × 1; what is left to each layer is not named."""
    named = [
        value_label(setting.method, dimension, value)
        for dimension, value in setting.values.items()
        if value is not None
    ]
    return " ".join([METHODS[setting.method].title, ", ".join(named)])
