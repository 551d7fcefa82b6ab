"""The Compare tab in Chromium: settings change the numbers, matching, growth, export, phone, dark, axe."""

from __future__ import annotations

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect
from studio import Visit

pytestmark = pytest.mark.browser

WAIT = 60_000  # the first change waits for torch


def compare(visit: Visit, **options: object) -> Page:
    page = visit("?tab=compare", ready="#costs h2", **options)
    expect(page.locator("#costs h2").first).to_have_text("FacebookAI/roberta-base", timeout=WAIT)
    page.locator("#costs .chart svg").first.wait_for(timeout=WAIT)
    return page


def parameters(page: Page, method: str) -> Locator:
    return page.locator("#costs .costs-table tbody tr", has_text=method).locator("td.parameters")


def test_numbers_follow_the_settings(visit: Visit) -> None:
    page = compare(visit)
    expect(parameters(page, "CDVFT")).to_have_text("55,296")
    page.locator("#cost-m input").fill("3")
    expect(parameters(page, "CDVFT")).to_have_text("92,160", timeout=WAIT)
    expect(page.locator("#costs .seen")).to_contain_text("LoRA r\u00a0=\u00a08 trains 3.2 times that")
    page.locator("#cost-lora_r input").fill("0")
    expect(page.locator("#costs .problem")).to_contain_text("lora_r: got 0")
    expect(parameters(page, "CDVFT")).to_have_text("92,160")
    page.locator("#cost-lora_r input").fill("4")
    expect(parameters(page, "LoRA")).to_have_text("147,456")
    expect(page.locator("#costs .problem")).to_have_text("")


def test_match_gives_the_rank_that_comes_closest(visit: Visit) -> None:
    page = compare(visit)
    page.locator("#cost-match input").click()
    page.get_by_role("option", name="equal parameters").click()
    expect(page.locator("#costs .costs-table")).to_contain_text("LoRA r\u00a0=\u00a02", timeout=WAIT)
    expect(parameters(page, "LoRA")).to_have_text("73,728")
    expect(parameters(page, "FourierFT")).to_have_text("55,296")


def test_a_marker_moves_along_the_growth(visit: Visit) -> None:
    page = compare(visit)
    expect(page.locator("#costs .place")).to_have_text("tokens = 2,048 (as set)")
    expect(page.locator("#costs .readout")).to_contain_text("6.26 GFLOP")
    page.locator("#costs .marker input").focus()
    page.keyboard.press("Home")
    expect(page.locator("#costs .place")).to_have_text("tokens = 1")
    expect(page.locator("#costs .readout")).to_contain_text("3.94 MFLOP")
    chart = page.locator("#costs .chart.growth")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] - 30, box["y"] + box["height"] / 2)
    expect(page.locator("#costs .place")).to_have_text("tokens = 65,536")


def test_tables_are_saved(visit: Visit) -> None:
    page = compare(visit)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save costs as JSON").click()
    rows = json.loads(saved.value.path().read_text())
    assert [row["trainable_parameters"] for row in rows] == [55_296, 294_912, 24_000, 18_432]
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save paper as CSV").click()
    lines = saved.value.path().read_text().splitlines()
    assert lines[0].startswith("topic,quantity,unit,published,ours,verdict") and "5.33" in lines[1]
    page.locator("#costs summary", has_text="Show as table").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save Growth of cost as CSV").click()
    assert saved.value.suggested_filename == "growth-of-cost.csv"
    assert "CDVFT m\u00a0=\u00a02,1,3937992" in saved.value.path().read_text()  # numbers, without units


def test_the_paper_is_beside_ours(visit: Visit) -> None:
    page = compare(visit)
    row = page.locator("#paper tr", has_text="LoRA's parameters over CDVFT's")
    expect(row.locator(".verdict")).to_have_text("equal")
    expect(row.locator(".value")).to_have_text(["5.33", "5.33"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_axe_violation(visit: Visit, scheme: str) -> None:
    page = compare(visit, color_scheme=scheme)
    for fold in page.locator("#costs summary").all():
        fold.click()
    found = Axe().run(page)
    told = [f"{v['id']}: {[node['html'][:160] for node in v['nodes']]}" for v in found.response["violations"]]
    assert not told, "\n".join(told)


def test_fits_a_phone(visit: Visit) -> None:
    page = compare(visit, viewport={"width": 390, "height": 844})
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
