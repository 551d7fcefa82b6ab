"""How long a run may say nothing before it is taken to hang."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cdvft_app.training.schedule import evaluations

LEAST = 120.0
UNKNOWN = 600.0  # nothing was promised: steps may be slow
STEPS, EVALUATIONS = 10, 3


def patience(forecast: Mapping[str, Any] | None) -> float:
    """Seconds: ten steps, or three evaluations, each as slow as the forecast allows; at least two minutes."""
    if not forecast or not forecast.get("seconds"):
        return UNKNOWN
    counted, slowest = forecast["counted"], forecast["seconds"]["high"]
    evaluating = slowest * counted["evaluation_flops"] / counted["training_flops"]
    return max(
        LEAST,
        STEPS * slowest / counted["steps"],
        EVALUATIONS * evaluating / evaluations(counted["steps"]),
    )
