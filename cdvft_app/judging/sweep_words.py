"""How tables and sentences name a setting, a score and a difference of two scores."""

from __future__ import annotations

from cdvft_app.figures.palette import METHOD_STYLES
from cdvft_app.judging.sweep_results import Setting, Value

SYMBOLS = {
    "m": "m",
    "block_size": "p",
    "lora_r": "r",
    "fourierft_n": "n",
    "c3a_block_size": "b",
    "learning_rates": "learning rate",
}


def written(metric_name: str, value: float) -> str:
    return f"{100 * value:.1f}\u00a0%" if metric_name == "accuracy" else f"{value:.3f}"


def apart(metric_name: str, difference: float) -> str:
    if metric_name != "accuracy":
        return f"{difference:.3f}"
    return f"{100 * difference:.1f}\u00a0points"


def value_text(dimension: str, value: Value) -> str:
    """m = 2, p = 384, learning rate × 0.3: how a table and a sentence name one value."""
    if dimension == "learning_rates":
        return f"learning\u00a0rate\u00a0{tick(dimension, value)}"
    shown = "automatic" if value is None else f"{value:,}"
    return f"{SYMBOLS[dimension]}\u00a0=\u00a0{shown}"


def tick(dimension: str, value: Value) -> str:
    """As `value_text`, but × 0.3 where what is multiplied stands beside it."""
    return f"×\u00a0{value:g}" if dimension == "learning_rates" else value_text(dimension, value)


def name(setting: Setting) -> str:
    """CDVFT m = 2, p = 384, learning rate × 1; what is left to each layer is not named."""
    named = [value_text(dimension, value) for dimension, value in setting.values.items() if value is not None]
    return " ".join([METHOD_STYLES[setting.method].label, ", ".join(named)])
