"""A search for settings in Chromium: begun from the form, stopped, gone on with, found by its link, raced."""

from __future__ import annotations

import os
import re

import pytest
from playwright.sync_api import Page, expect
from studio import Hold, Visit, axe_violations, fill_in, look_again, open_fold


def test_a_search_is_stopped_goes_on_and_its_best_are_raced(visit: Visit, hold: Hold) -> None:
    page = visit("?tab=train&recipe=sentiment&methods=cdvft,lora", ready="#start:enabled")
    hold(5)
    page.get_by_role("button", name="Find the settings").click()
    what_cannot_be_searched_is_said_before_it_begins(page)
    fill_in(page.locator("#search-trials input"), "4")
    expect(page.locator("#search-promise")).to_contain_text("trials, one after the other")
    page.get_by_role("button", name="Start the search").click()
    view = page.locator("#search")
    status = view.locator(".status")
    expect(status).to_contain_text("1 of at most 8 trials · searching")
    view.get_by_role("button", name="Stop the search").click()
    expect(status).to_contain_text("Go on resumes the trial")
    hold(None)
    view.get_by_role("button", name="Go on").click()
    expect(status).to_have_text("8 of at most 8 trials · ended")
    it_says_that_it_ended_once_the_server_is_back(page)
    expect(view.locator(".seen").first).to_contain_text("the best of 4 trials is learning rate")
    expect(view.locator(".searched-method")).to_have_count(2)
    view.locator("figure .chart svg").nth(3).wait_for()  # two figures of each method
    expect(page).to_have_url(re.compile(r"[?&]search=[0-9a-f]{32}"))
    if shot := os.environ.get("CDVFT_SHOT"):
        page.screenshot(path=shot, full_page=True)
    assert axe_violations(page, "#search, #find-settings") == []

    phone = {"width": 390, "height": 800}
    other = visit(page.url.split("/")[-1], ready="#search .searched-method", viewport=phone)
    expect(other.locator("#search .status")).to_have_text("8 of at most 8 trials · ended")
    expect(other.get_by_role("button", name="Stop the search")).to_be_hidden()
    other.locator("#search figure .chart").first.scroll_into_view_if_needed()
    other.locator("#search figure .chart svg").first.wait_for()
    other.get_by_role("button", name="Find the settings").click()
    expect(other.locator("#search-trials")).to_be_visible()
    assert other.evaluate("document.documentElement.scrollWidth") <= 390

    the_best_of_each_fill_the_form(page)
    view.get_by_role("button", name="Close").click()
    expect(view.locator("section.search")).to_be_hidden()
    expect(page).not_to_have_url(re.compile("search="))


def the_best_of_each_fill_the_form(page: Page) -> None:
    said = page.locator("#search .searched-method .seen").all_inner_texts()
    page.get_by_role("button", name="Race the best of each").click()
    open_fold(page, "Learning rates")
    for method, best in zip(("cdvft", "lora"), said, strict=True):
        (rate,) = re.findall(r"the best of 4 trials is learning rate ([\d.e-]+):", best)
        field = page.locator(f"#set-learning_rate-{method} input")
        expect(field).not_to_have_value("")
        assert float(field.input_value()) == pytest.approx(float(rate), rel=6e-3)


def it_says_that_it_ended_once_the_server_is_back(page: Page) -> None:
    page.route("**/train/search/search", lambda route: route.abort())
    status = page.locator("#search .status")
    look_again(page)
    expect(status).to_contain_text("The server does not answer; trying again.")
    page.unroute("**/train/search/search")
    look_again(page)
    expect(status).to_have_text("8 of at most 8 trials · ended")


def what_cannot_be_searched_is_said_before_it_begins(page: Page) -> None:
    fill_in(page.locator("#search-trials input"), "many")
    expect(page.locator("#search-promise")).to_contain_text("many")
    expect(page.get_by_role("button", name="Start the search")).to_be_disabled()
