"""The page of evidence in Chromium: a figure's reasons and numbers, and its settings opened in Train."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect
from studio import Visit, fill_in, setting
from waiting_form import hold_back, let_go, nothing_of_the_form_takes_a_click_or_the_keyboard, until_held

from cdvft_app import ASSETS

pytestmark = pytest.mark.browser


def evidence(visit: Visit, width: int) -> Page:
    size = {"width": width, "height": 900}
    return visit("?tab=compare&page=evidence", ready="#evidence .chart svg", viewport=size)


def test_figures_of_evidence_unfold_name_their_lines_and_open_train(visit: Visit) -> None:
    page = evidence(visit, 1280)
    symbols = page.locator("#evidence .legend path").evaluate_all(
        "(all) => all.map((one) => one.getAttribute('d'))"
    )
    names = page.locator("#evidence .legend li").count()
    assert names == len({*symbols} - {None}) == 6, "each method's points have a symbol of their own"
    a_folded_doubt_shows_its_answer_and_draws_its_figure_once_opened(page)
    no_names_in_a_figure_overlap(page)
    a_figure_opens_train_with_its_settings_without_a_reload(page)


def test_no_names_in_a_figure_overlap_on_a_phone(visit: Visit) -> None:
    no_names_in_a_figure_overlap(evidence(visit, 390))


def a_folded_doubt_shows_its_answer_and_draws_its_figure_once_opened(page: Page) -> None:
    folded = page.locator("#evidence-many")
    expect(folded.locator("summary").first).to_have_text("Do smaller files matter?")
    expect(folded.get_by_role("heading")).to_be_hidden()
    expect(folded.locator(".js-plotly-plot")).to_have_count(0)
    folded.locator("summary").first.click()
    expect(folded.get_by_role("heading")).to_contain_text("10,000")
    expect(folded.locator(".chart .main-svg").first).to_be_visible()
    page.emulate_media(color_scheme="dark")
    expect(page.locator("body.dark")).to_have_count(1)
    folded.locator("summary", has_text="Why").click()
    expect(folded).to_contain_text("by how much the process grew")


def no_names_in_a_figure_overlap(page: Page) -> None:
    open_further(page)
    the_name_of_an_axis_stands_clear_of_its_ticks(page)
    lines_of_one_colour_are_named_at_their_ends_and_no_names_overlap(page)


def a_figure_opens_train_with_its_settings_without_a_reload(page: Page) -> None:
    """While the server fills the form it cannot be used."""
    page.evaluate("() => { window.same = true; }")
    figure = page.locator("#evidence-settings")
    figure.locator("summary", has_text="Why").click()
    expect(figure).to_contain_text("python -m benchmarks.record_sweep")
    figure.locator("summary", has_text="Show as table").click()
    with page.expect_download() as saved:
        figure.get_by_role("button", name="Save By how much each setting", exact=False).first.click()
    assert "Sentiment of film reviews,m," in saved.value.path().read_text()
    values = hold_back(page, "**/run/predict*", '{"recipe":"mnist",')
    figure.get_by_role("link", name="Open in Train with these settings").nth(1).click()
    expect(page.get_by_role("tab", name="Train")).to_have_attribute("aria-selected", "true")
    until_held(page, values)
    expect(page.locator("#train")).to_have_attribute("aria-busy", "true")
    nothing_of_the_form_takes_a_click_or_the_keyboard(page)
    let_go(page, values)
    expect(page.locator("#train")).to_have_attribute("aria-busy", "false")
    assert page.evaluate("() => window.same") is True, "the page was loaded anew"
    expect(setting(page, "m")).to_have_value("3")
    expect(page.locator("#counts")).to_contain_text("CDVFT")
    expect(page.locator("#recipes input[value=mnist]")).to_be_checked()
    expect(page.get_by_role("checkbox", name="C3A")).not_to_be_checked()
    page.wait_for_function("() => !location.search.includes('recipe')")  # the form is the visitor's now
    fill_in(setting(page, "m"), "2")
    expect(page.locator(".promise b")).to_have_text("46,080")  # counted, and remembered
    page.reload()
    expect(setting(page, "m")).to_have_value("2")


def open_further(page: Page) -> None:
    """Every doubt that is folded opened, and all figures drawn."""
    shipped = json.loads((ASSETS / "evidence.json").read_text(encoding="utf-8"))
    page.locator("#evidence section").first.wait_for()
    for fold in page.locator("#evidence .further").all():
        if not fold.evaluate("(fold) => fold.open"):
            fold.locator(":scope > summary").click()
    expect(page.locator("#evidence .js-plotly-plot .main-svg:first-child")).to_have_count(
        sum(one["figure"] is not None for one in shipped)
    )


def the_name_of_an_axis_stands_clear_of_its_ticks(page: Page) -> None:
    named = page.locator("#evidence section:has(.annotation-text)")
    shipped = json.loads((ASSETS / "evidence.json").read_text(encoding="utf-8"))
    drawn = [one["figure"]["layout"] for one in shipped if one["figure"]]
    expect(named).to_have_count(sum("annotations" in layout for layout in drawn))
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
                beside = (
                    one["x"] + one["width"] <= other["x"] + 1 or other["x"] + other["width"] <= one["x"] + 1
                )
                below = (
                    one["y"] + one["height"] <= other["y"] + 2 or other["y"] + other["height"] <= one["y"] + 2
                )
                assert beside or below, (figure, one, other)
