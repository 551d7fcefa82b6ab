"""Compare: costs of each method, results of finished runs, and measured steps."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from cdvft_app.ui.compare import measure
from walks import runs
from walks.pages import Compare, Train, Visit, downloaded, fill, two_frames
from walks.studio import Studio

LAYERS, WIDTH = 2 * 12, 768  # query and value of RoBERTa-base


def test_costs_follow_the_settings(visit: Visit) -> None:
    compare = visit(Compare)
    parameters = compare.answer("parameters")
    expect(parameters.first).to_have_text(f"{LAYERS * 3 * WIDTH:,}")
    compare.unfold("#cost-choose")
    fill(compare.find("#cost-m input"), "3")
    expect(parameters.first).to_have_text(f"{LAYERS * 5 * WIDTH:,}")
    fill(compare.find("#cost-lora_r input"), "0")
    expect(compare.find("#costs .problem")).to_contain_text("0")
    expect(parameters.first).to_be_hidden()
    fill(compare.find("#cost-lora_r input"), "4")
    expect(parameters.nth(1)).to_have_text(f"{LAYERS * 4 * 2 * WIDTH:,}")
    compare.choose("cost-model", "gpt2 ·")
    expect(compare.find("#costs h2").first).to_contain_text("gpt2")
    expect(compare.find("#cost-targets .token")).to_have_count(1)
    saved = json.loads(downloaded(compare.save("#costs", "JSON")).read_text())
    assert len(saved) == parameters.count()


def test_every_page_of_compare_opens(visit: Visit) -> None:
    compare = visit(Compare)
    links = compare.find("#compare-pages a")
    expect(links).not_to_have_count(0)
    for link in links.all():
        link.click()
        expect(link).to_have_attribute("aria-current", "page")
        shown = compare.find(".compare-page:visible").locator("h2, h3, table, .chart").locator("visible=true")
        expect(shown.first).to_be_visible()
        compare.fits()


def test_results_show_recorded_then_your_runs(visit: Visit, studio: Studio) -> None:
    compare = visit(Compare, page="results")
    figure = compare.find("#outcomes .chart")
    figure.locator("svg").first.wait_for()
    for seed, score in enumerate((0.9, 0.92, 0.94)):
        runs.build(studio, recipe="mnist", seed=seed, score=score, steps=7)
    compare.page.evaluate("document.dispatchEvent(new CustomEvent('runs-changed'))")
    choice = compare.find("#outcomes select").first
    own = choice.locator("option", has_text="7 steps")
    expect(own).to_be_attached()
    choice.select_option(own.get_attribute("value"))
    points = "(chart) => chart.data.filter(({ mode }) => mode.startsWith('markers')).map(({ y }) => y[0])"
    compare.page.wait_for_function(f"(chart) => ({points})(chart).length === 2", arg=figure.element_handle())
    assert figure.evaluate(points) == [pytest.approx(92)] * 2, "three seeds are one point"
    compare.unfold("#outcomes")
    expect(compare.find("#outcomes table.numbers tbody tr")).to_have_count(2)


def test_figure_of_evidence_opens_train_with_its_settings(visit: Visit) -> None:
    compare = visit(Compare, page="evidence")
    compare.find("#evidence .chart svg").first.wait_for()
    compare.unfold("#evidence")
    compare.page.evaluate("window.same = true")
    compare.find("#evidence a[href*='recipe=mnist']").first.click()
    train = Train(compare.page, compare.studio).wait()
    expect(train.recipe("mnist")).to_be_checked()
    assert train.page.evaluate("window.same"), "the page was loaded again"


def test_measurement_is_cancelled(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def measuring(*_: object) -> Iterator[dict[str, object]]:
        begin = {"kind": "begin", "method": "cdvft", "setting": None, "number": 1, "of": 2, "more": 1}
        try:
            while True:
                yield begin
                ended.wait(0.05)
        finally:
            ended.set()

    monkeypatch.setattr(measure, "measuring", measuring)
    compare = visit(Compare)
    compare.unfold("#cost-choose")
    start, cancel = (compare.find("#measure .go-buttons button").nth(place) for place in range(2))
    start.click()
    expect(start).to_be_disabled()
    expect(cancel).to_be_enabled()
    cancel.click()
    expect(cancel).to_be_disabled()
    expect(start).to_be_enabled()
    two_frames(compare.page)
    assert ended.is_set()
