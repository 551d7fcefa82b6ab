"""The classifier head alone; the model stays as it is."""

from __future__ import annotations

from typing import Literal

from cdvft_app.methods.base import Method


class Head(Method):
    title = "Head only"
    light, dark = "#7F7F7F", "#A3A3A3"
    dash, marker, width = "solid", "x", 1
    adapter = False
    usual_learning_rate = 3e-3

    method: Literal["head"] = "head"


METHOD = Head
