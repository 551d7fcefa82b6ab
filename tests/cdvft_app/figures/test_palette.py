"""Colours that can be told apart, and figures that name only colours the page knows."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import pytest

from cdvft.blocks import partition
from cdvft_app.figures import block_layout, palette
from cdvft_app.methods import METHODS

STYLESHEET = Path(__file__).parents[3] / "assets" / "css" / "page" / "colours.css"
DARK_PAPER = "#131313"


def luminance(colour: str) -> float:
    """WCAG 2 relative luminance of "#rrggbb"."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


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


def test_figures_name_only_variables_that_the_page_has() -> None:
    defined = palette.css() + STYLESHEET.read_text(encoding="utf-8") + "--font:"  # the last is Gradio's
    named = set(re.findall(r"var\((--[\w-]+)\)", f"{palette.lines()} {palette.layout()} {palette.DIVERGING}"))
    assert len(named) > len(METHODS)
    assert not {name for name in named if f"{name}:" not in defined}


@pytest.mark.parametrize(
    ("d_out", "d_in", "p", "blocks"),
    [(384, 384, 384, 1), (384, 384, 64, 36), (1152, 384, 384, 3), (384, 384, 100, 16), (384, 384, 1, 256)],
)
def test_block_layout_draws_every_block_as_far_as_one_can_see(
    d_out: int, d_in: int, p: int, blocks: int
) -> None:
    drawn = ET.fromstring(block_layout.svg(partition(d_out, d_in, p)))
    assert sum(part.get("class") == "block" for part in drawn) == blocks
    assert sum(part.get("class") == "padding" for part in drawn) == (d_out % p != 0)
    assert f"{d_out} by {d_in} weight" in drawn.get("aria-label", "")
