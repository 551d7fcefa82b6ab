"""Colours that can be told apart, and figures that name only colours the page knows."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from cdvft_app.figures import palette
from cdvft_app.methods import METHODS

STYLESHEET = Path(__file__).parents[3] / "assets" / "css" / "page" / "colours.css"
DARK_PAPER = "#131313"


# How linear light looks where a kind of cones is missing, by Machado, Oliveira and Fernandes (2009).
EYES = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
# From linear light to Oklab, in which colours that look alike lie near each other (Ottosson, 2020).
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def linear(colour: str) -> np.ndarray:
    """Linear red, green and blue, 0..1, of "#rrggbb"."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return np.array([part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts])


def oklab(colour: str, eye: str = "all cones") -> np.ndarray:
    return TO_OKLAB @ np.cbrt(TO_CONES @ np.clip(EYES[eye] @ linear(colour), 0, 1))


def distance(one: str, other: str, eye: str = "all cones") -> float:
    """100 times the distance in Oklab: 100 from black to white, about 2 where a difference is just seen."""
    return float(100 * np.linalg.norm(oklab(one, eye) - oklab(other, eye)))


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


def test_no_meaning_hangs_on_colour_alone() -> None:
    for one, other in combinations(METHODS.values(), 2):
        assert (one.dash, one.width) != (other.dash, other.width)
        assert one.marker != other.marker
        assert one.light != other.light


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def factors(scheme: str) -> list[str]:
    return [colours[scheme == "dark"] for colours in palette.FACTOR_COLOURS.values()]


@pytest.mark.parametrize("eye", EYES)
def test_the_factors_can_be_told_apart(eye: str, factors: list[str]) -> None:
    for one, other in combinations(factors, 2):
        assert distance(one, other, eye) > 12, (one, other)
