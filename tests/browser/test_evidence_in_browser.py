"""The page of evidence in Chromium: a figure's reasons and numbers, and its settings opened in Train."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from studio import Visit, fill_in, setting

pytestmark = pytest.mark.browser


def test_a_figure_of_evidence_opens_train_with_its_settings(visit: Visit) -> None:
    page = visit("?tab=compare&page=evidence", ready="#evidence .chart svg")
    figure = page.locator("#evidence-settings")
    figure.locator("summary", has_text="Why").click()
    expect(figure).to_contain_text("python -m benchmarks.record_sweep")
    figure.locator("summary", has_text="Show as table").click()
    with page.expect_download() as saved:
        figure.get_by_role("button", name="Save By how much each setting", exact=False).first.click()
    assert "Sentiment of film reviews,m," in saved.value.path().read_text()
    figure.get_by_role("link", name="Open in Train with these settings").nth(1).click()
    expect(setting(page, "m")).to_have_value("3")
    expect(page.locator("#counts")).to_contain_text("CDVFT")
    expect(page.locator("#recipes input[value=mnist]")).to_be_checked()
    page.wait_for_function("() => !location.search.includes('recipe')")  # the form is the visitor's now
    fill_in(setting(page, "m"), "2")
    expect(page.locator(".promise b")).to_have_text("46,080")  # counted, and remembered
    page.reload()
    expect(setting(page, "m")).to_have_value("2")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_name_of_an_axis_stands_clear_of_its_ticks(visit: Visit, width: int) -> None:
    size = {"width": width, "height": 900}
    page = visit("?tab=compare&page=evidence", ready="#evidence .chart svg", viewport=size)
    named = page.locator("#evidence section:has(.annotation-text)")
    expect(named).to_have_count(6)
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
