"""Full fine-tuning: every number of the model is trained."""

from __future__ import annotations

from typing import Literal

from cdvft_app.methods.base import Method


class Full(Method):
    title = "Full fine-tuning"
    light, dark = "#D55E00", "#F08A45"
    dash, marker = "10px,3px", "star"
    adapter = False
    usual_learning_rate = 3e-5

    method: Literal["full"] = "full"


METHOD = Full
