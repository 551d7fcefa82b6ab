"""Dropdowns by keyboard and mouse: a model's field left as it was changes nothing, and typing replaces it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect
from studio import Server, Visit, status

from cdvft_app import catalog
from cdvft_app.settings import RaceRequest

pytestmark = pytest.mark.browser

WAIT = 60_000  # the first change waits for torch
TABS = [
    pytest.param("compare", "cost-model", "cost-race", "cost-targets", id="compare"),
    pytest.param("train", "set-model", "set-dataset", "set-target_modules", id="train"),
]


def opened(visit: Visit, tab: str) -> Page:
    if tab == "compare":
        return visit("?tab=compare", ready="#costs h2")
    page = visit()
    page.get_by_role("button", name="Another model").click()
    return page


def chosen(page: Page, layers: str) -> Locator:
    return page.locator(f"#{layers} .token")


@pytest.mark.parametrize(("tab", "model", "after", "layers"), TABS)
def test_leaving_a_models_field_keeps_its_layers(
    visit: Visit, tab: str, model: str, after: str, layers: str
) -> None:
    page = opened(visit, tab)
    expect(chosen(page, layers)).to_have_count(2)
    chosen(page, layers).last.locator(".token-remove").click()
    expect(chosen(page, layers)).to_have_count(1)
    page.locator(f"#{model} input").focus()
    page.keyboard.press("Tab")
    expect(page.locator(f"#{after} input")).to_be_focused()
    page.wait_for_timeout(1000)  # for an answer that must not come
    expect(chosen(page, layers)).to_have_count(1)


@pytest.mark.parametrize(("tab", "model", "after", "layers"), TABS)
def test_typing_replaces_a_model_and_brings_its_layers(
    visit: Visit, tab: str, model: str, after: str, layers: str
) -> None:
    page = opened(visit, tab)
    chosen(page, layers).last.locator(".token-remove").click()
    expect(chosen(page, layers)).to_have_count(1)
    page.locator(f"#{model} input").click()
    page.keyboard.type("RoBERTa-large", delay=20)
    expect(page.locator("ul[role=listbox] li")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(f"#{model} input")).to_have_value(re.compile("^RoBERTa-large ", re.IGNORECASE))
    expect(chosen(page, layers)).to_have_text(["query", "value"], timeout=WAIT)


def test_a_race_that_has_finished_is_on_offer(visit: Visit, server: Server) -> None:
    request = RaceRequest(max_steps=10)
    runs = [catalog.resolve(settings).settings for settings in request.runs()]
    server.queue.submit(runs, "somebody", "finished")
    page = visit()
    expect(status(page)).to_have_text("All 3 finished", timeout=WAIT)
    page = visit("?tab=compare", ready="#costs h2")
    expect(page.locator("#cost-race")).to_contain_text("Fills in its model, layers and settings.")
