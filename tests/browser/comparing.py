"""The Compare tab as its tests come to it, and what they do there."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import Locator, Page, expect
from studio import Visit

from cdvft_app import ASSETS


def compare(visit: Visit, **options: object) -> Page:
    page = visit("?tab=compare", ready="#costs h2", **options)
    expect(page.locator("#costs h2")).to_have_text("FacebookAI/roberta-base")
    expect(page.locator("#costs .answers tbody th").first).to_have_text("Fits here")
    return page


def unfold(page: Page) -> None:
    """Open what is folded below the questions."""
    if page.viewport_size and page.viewport_size["width"] < 900:
        page.get_by_role("button", name=re.compile("^Settings")).click()
    page.get_by_role("button", name="Methods, sizes, layers").click()
    page.locator("#cost-m input").wait_for()


def answer(page: Page, key: str) -> Locator:
    return page.locator(f"#costs .answers tr.{key} td")


def choose(page: Page, field: str, option: str) -> None:
    control = page.locator(f"#{field} input")
    control.click()
    page.get_by_role("option", name=option, exact=True).click()
    expect(control).to_have_value(option)


def no_names_in_a_figure_overlap(page: Page) -> None:
    open_further(page)
    the_name_of_an_axis_stands_clear_of_its_ticks(page)
    lines_of_one_colour_are_named_at_their_ends_and_no_names_overlap(page)


def shipped_figures() -> list[dict[str, Any]]:
    shipped = json.loads((ASSETS / "evidence.json").read_text(encoding="utf-8"))
    return [one["figure"] for one in shipped if one["figure"]]


def open_further(page: Page) -> None:
    """Every doubt that is folded opened, and all figures drawn."""
    page.locator("#evidence section").first.wait_for()
    for fold in page.locator("#evidence .further").all():
        if not fold.evaluate("(fold) => fold.open"):
            fold.locator(":scope > summary").click()
    expect(page.locator("#evidence .js-plotly-plot .main-svg:first-child")).to_have_count(
        len(shipped_figures())
    )


def the_name_of_an_axis_stands_clear_of_its_ticks(page: Page) -> None:
    named = page.locator("#evidence section:has(.annotation-text)")
    expect(named).to_have_count(sum("annotations" in one["layout"] for one in shipped_figures()))
    for figure in named.all():
        # In one look: what is drawn above still moves it.
        end, first = figure.evaluate(
            """(figure) => {
              const box = (node) => node.getBoundingClientRect();
              const ticks = [...figure.querySelectorAll(".ytick")].map((tick) => box(tick).top);
              return [box(figure.querySelector(".annotation-text")).bottom, Math.min(...ticks)];
            }"""
        )
        assert end <= first + 1, figure.inner_text()[:80]


def lines_of_one_colour_are_named_at_their_ends_and_no_names_overlap(page: Page) -> None:
    names = {"factors": [], "losses": ["d = 192", "384", "768", "4,096"], "many": []}
    for figure, expected in names.items():
        texts = page.locator(f"#evidence-{figure} .annotation-text")
        expect(texts).to_have_count(1 + len(expected))
        assert texts.all_text_contents()[1:] == expected
        boxes = page.locator(  # in one look
            f"#evidence-{figure} :is(.annotation-text, .xtitle, .x2title, .x3title, .ytick)"
        ).evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().toJSON())")
        assert len(boxes) > 1 + len(expected)
        for place, one in enumerate(boxes):
            for other in boxes[:place]:
                apart = [
                    one[side] <= other[start] + room or other[side] <= one[start] + room
                    for side, start, room in (("right", "left", 1), ("bottom", "top", 2))
                ]
                assert any(apart), (figure, one, other)
