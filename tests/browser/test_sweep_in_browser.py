"""A sweep in Chromium: recorded at first, started from the form, filled in, stopped, found by its link."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from studio import Hold, Visit, axe_violations, downloaded, fill_in

from cdvft_app.sweep import recorded
from cdvft_app.sweep.results import JudgedSweep, payload

CURVES = "() => document.querySelector('#sweep .chart').data.map(({ name, y }) => [name, ...y])"


def compare(visit: Visit) -> Page:
    fold = "#sweep .as-table.part-of > summary"
    page = visit("?tab=compare&page=settings", ready=fold)
    assert page.locator(fold).inner_text().startswith("All "), "a fold is seen only once it has a title"
    page.locator("#sweep table.heat tbody td").first.wait_for()
    page.locator("#sweep .chart svg").first.wait_for()
    return page


def fill(page: Page, **values: str) -> None:
    page.get_by_role("button", name="Run your own sweep").click()
    for name, value in values.items():
        fill_in(page.locator(f"#sweep-{name} input"), value)


def test_a_recorded_sweep_is_shown_at_first(visit: Visit) -> None:
    page = compare(visit)
    the_long_table_is_folded_under_how_many_settings_it_has(page)
    what_cannot_be_is_said_beside_the_button(page)
    page.locator("#sweep details").evaluate_all("(all) => all.forEach((fold) => (fold.open = true))")
    assert not axe_violations(page, "#sweep, #sweep-form")
    a_recorded_sweep_is_shown_as_it_was_chosen(page)
    it_fits_a_phone(page)


def the_long_table_is_folded_under_how_many_settings_it_has(page: Page) -> None:
    table = page.locator("#sweep .settings-table")
    rows = table.locator("tbody tr")
    expect(table).to_be_hidden()
    page.locator("#sweep summary", has_text=f"All {rows.count()} settings, the best first").click()
    expect(rows.first).to_be_visible()
    expect(rows.last).to_be_visible()
    first, last = (float(row.locator("td").first.inner_text().split()[0]) for row in (rows.first, rows.last))
    assert first > last
    saved = downloaded(page.get_by_role("button", name="Save sweep as CSV"))
    assert len(saved.read_text().splitlines()) == rows.count() + 1


def what_cannot_be_is_said_beside_the_button(page: Page) -> None:
    fill(page, m="1, 2")
    expect(page.locator("#sweep-promise")).to_contain_text(
        "Diagonal vectors (m): got 1; it must be from 2 to 16"
    )
    expect(page.get_by_role("button", name="Start the sweep")).to_be_disabled()
    page.locator("#sweep-m input").fill("2")
    expect(page.get_by_role("button", name="Start the sweep")).to_be_enabled()


def a_recorded_sweep_is_shown_as_it_was_chosen(page: Page) -> None:
    expect(page.locator("#sweep .origin")).to_contain_text(
        re.compile(r"Recorded on .* 512 training examples")
    )
    expect(page.locator("#sweep .seen")).to_contain_text(
        "CDVFT with learning rate × 1 has 1.7 points less than CDVFT with learning rate × 3"
    )
    cells = page.locator("#sweep table.heat tbody td")
    expect(cells).to_have_count(9)
    before = cells.all_inner_texts()
    page.locator("#sweep label", has_text="MNIST").click()
    expect(page.locator("#sweep .origin")).to_contain_text("300 training examples")
    assert cells.all_inner_texts() != before
    page.locator("#sweep .chart svg").first.wait_for()
    page.get_by_label("Dimensions of the heatmap").select_option(label="CDVFT: p by learning rate")
    expect(page.locator("#sweep table.heat thead")).to_contain_text("×\u00a00.3")
    note = page.locator("#sweep .note")
    expect(note).to_contain_text("the best of the rest")  # as the answer is judged
    page.locator("#sweep label", has_text="Mean over the rest").click()
    expect(note).to_contain_text("the mean over all else")
    page.get_by_label("Dimensions of the lines").select_option(
        label="CDVFT: along m, a line for each learning rate"
    )
    expect(page.locator("#sweep .xtitle")).to_have_text("diagonal vectors (m)")
    drawn = page.evaluate(CURVES)
    page.reload()
    expect(page.locator("#sweep .origin")).to_contain_text("300 training examples")
    expect(page.get_by_role("radio", name="MNIST")).to_be_checked()
    chosen = page.get_by_label("Dimensions of the heatmap").locator("option:checked")
    expect(chosen).to_have_text("CDVFT: p by learning rate")
    expect(page.locator("#sweep table.heat thead")).to_contain_text("×\u00a00.3")
    expect(note).to_contain_text("the mean over all else")
    expect(page.get_by_role("radio", name="Mean over the rest")).to_be_checked()
    expect(page.locator("#sweep .xtitle")).to_have_text("diagonal vectors (m)")
    assert page.evaluate(CURVES) == drawn


def it_fits_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="Run your own sweep").click()
    page.get_by_role("button", name="Start the sweep").wait_for()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


def test_a_sweep_runs_for_its_owner_and_is_found_again(visit: Visit, hold: Hold) -> None:
    hold(5)
    page = compare(visit)
    fill(page, m="2, 3", learning_rates="1, 3", seeds="0, 1")
    expect(page.locator("#sweep-promise")).to_contain_text("8 runs, one after the other")
    page.get_by_role("button", name="Start the sweep").click()
    status = page.locator("#sweep .status")
    expect(status).to_contain_text("Sweep of 8 runs")
    expect(status).to_contain_text("7 queued")
    expect(page.get_by_role("button", name="Stop the sweep")).to_be_visible()
    expect(page).to_have_url(re.compile(r"[?&]sweep=[0-9a-f]{32}"))
    other = visit(page.url.split("/")[-1], ready="#sweep .status")
    only_the_owner_stops_it(page, other)
    hold(None)
    page.get_by_role("button", name="Go on").click()
    expect(status).to_have_text("Sweep of 8 runs · 8 finished")
    rows = page.locator("#sweep .settings-table tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.first).to_contain_text("2 of 2")
    expect(page.locator("#sweep table.heat tbody td")).to_have_text(["80.0 %"] * 4)

    other.reload()
    other.locator("#sweep table.heat tbody td").first.wait_for()
    expect(other.locator("#sweep .status")).to_have_text("Sweep of 8 runs · 8 finished")
    other.get_by_role("button", name="Show the recorded sweeps").click()
    expect(other.locator("#sweep .origin")).to_contain_text("Recorded on")
    expect(other).not_to_have_url(re.compile("sweep="))

    page.goto(page.url.split("?")[0] + "?tab=compare&page=settings")
    expect(page.locator("#sweep .origin")).to_contain_text("Recorded on")
    page.get_by_role("tab", name="Train").click()
    line = page.locator("#history .race", has_text="Sweep: Sentiment of film reviews").first
    expect(line).to_contain_text("8 runs · 8 finished")
    line.get_by_role("link", name="Open on the Compare tab").click()
    expect(page.locator("#sweep .status")).to_have_text("Sweep of 8 runs · 8 finished")
    page.go_back()
    page.go_back()
    expect(page.locator("#sweep .origin")).to_contain_text("Recorded on")


def only_the_owner_stops_it(page: Page, other: Page) -> None:
    stop = page.get_by_role("button", name="Stop the sweep")
    expect(other.locator("#sweep .status")).to_contain_text("Sweep of 8 runs")
    expect(other.get_by_role("button", name="Stop the sweep")).to_be_hidden()
    stop.click()
    expect(page.locator("#sweep .status")).to_have_text("Sweep of 8 runs · 8 stopped")
    expect(stop).to_be_hidden()
    expect(other.get_by_role("button", name="Go on")).to_be_hidden()


def test_a_link_to_a_sweep_that_is_gone_shows_the_recorded_one_in_its_metric(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, measured = recorded.shown, payload(JudgedSweep.of(recorded.runs("sentiment"), "exact_match"))
    monkeypatch.setattr(recorded, "shown", lambda recipe: {**(shown(recipe) or {}), **measured})
    page = visit(f"?tab=compare&sweep={'0' * 32}", ready="#sweep table.heat tbody td")
    expect(page.locator("#sweep .status")).to_contain_text("is not there; it may have been deleted")
    expect(page.locator("#sweep table.heat tbody td").first).to_be_visible()
    expect(page).not_to_have_url(re.compile("sweep="))
    expect(page.locator("#sweep .ytitle")).to_have_text("Exact match, %")
