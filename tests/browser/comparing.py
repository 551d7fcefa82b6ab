"""The Compare tab as its tests come to it, and what they do there."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect
from studio import Visit


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
