"""The whole page: accessibility, phones, and colors."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import expect

from walks import runs
from walks.pages import Compare, Factors, Learn, Predict, Tab, Train, Visit
from walks.studio import Studio
from walks.visitors import PHONE

TABS = {
    "train": (Train, {"run": "nothing"}),
    "race": (Train, {}),
    "predict": (Predict, {"run": "recorded-sentiment-lora"}),
    "decide": (Compare, {}),
    "results": (Compare, {"page": "results"}),
    "factors": (Factors, {"factors": "recorded-cdvft"}),
    "learn": (Learn, {"lesson": "rank"}),
}
VIOLATIONS = """async () => {
  await Promise.allSettled(document.getAnimations()
    .filter((one) => one instanceof CSSTransition).map((one) => one.finished));
  return (await axe.run(document, { resultTypes: ["violations"] })).violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(", ")}`);
}"""


def opened(visit: Visit, studio: Studio, name: str, **options: object) -> Tab:
    tab, address = TABS[name]
    more = {"run": ",".join(runs.build(studio))} if name == "race" else {}
    return visit(tab, **address, **more, **options)


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("name", TABS)
def test_tab_breaks_no_rule_of_axe(visit: Visit, studio: Studio, name: str, color_scheme: str) -> None:
    tab = opened(visit, studio, name, color_scheme=color_scheme)
    expect(tab.find("body.dark")).to_have_count(int(color_scheme == "dark"))
    tab.page.evaluate(AXE_SCRIPT)
    assert tab.page.evaluate(VIOLATIONS) == []


@pytest.mark.parametrize("name", TABS)
def test_tab_fits_a_phone(visit: Visit, studio: Studio, name: str) -> None:
    tab = opened(visit, studio, name, viewport=PHONE)
    tab.fits()
    tab.unfold("main")
    tab.fits()


def test_theme_is_switched_and_remembered(visit: Visit) -> None:
    train = visit(Train)
    train.find(".theme-toggle").focus()
    train.page.keyboard.press("Enter")
    expect(train.find("body")).to_have_class(re.compile("dark"))
    train.reload()
    expect(train.find("body")).to_have_class(re.compile("dark"))
