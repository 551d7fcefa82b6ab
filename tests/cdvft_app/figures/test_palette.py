"""Colours that can be told apart, and figures that name only colours the page knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cdvft_app.methods import METHODS

STYLESHEET = Path(__file__).parents[3] / "assets" / "css" / "page" / "colours.css"
DARK_PAPER = "#131313"


def linear(colour: str) -> np.ndarray:
    """Linear red, green and blue, 0..1, of "#rrggbb"."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return np.array([part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts])


def luminance(colour: str) -> float:
    """WCAG 2 relative luminance of "#rrggbb"."""
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("method", METHODS)
def test_lines_stand_out_in_the_dark(method: str) -> None:
    assert f"--paper: {DARK_PAPER};" in STYLESHEET.read_text(encoding="utf-8")
    assert contrast(METHODS[method].dark, DARK_PAPER) >= 4.5
