"""What finished runs gave, in Chromium: a recorded race, own runs as they come, axes, table, a race."""

from __future__ import annotations

import json
import re

import pytest
import run_events
from playwright.sync_api import Page, expect
from studio import Server, Visit, axe_violations, downloaded

from cdvft_app import catalog
from cdvft_app.settings import RunSettings

SCORES = {
    "cdvft": (0.920, 0.930, 0.925),
    "lora": (0.915, 0.925, 0.920),
    "fourierft": (0.880, 0.900, 0.890),
}
PARAMETERS = {"cdvft": 46_080, "lora": 221_184, "fourierft": 24_000}
SECONDS = {"cdvft": 18.0, "lora": 19.0, "fourierft": 27.0}


def finish(server: Server, seed: int) -> None:
    """A race of three methods that ends at once, with scores and costs of its own."""
    runs = [
        catalog.resolve(RunSettings(recipe="mnist", method=method, seed=seed)).settings  # type: ignore[arg-type]
        for method in SCORES
    ]
    for run in server.store.create(runs, None, "Three digits", process="1:1.00"):
        method = run.method
        parameters, seconds, score = PARAMETERS[method], SECONDS[method] + seed, SCORES[method][seed]
        server.store.append(
            run.id, run_events.started(76, trainable_parameters=parameters, evaluation_examples=500)
        )
        server.store.append(
            run.id,
            run_events.done(76, metric=score, peak_memory_bytes=10**9 + parameters, seconds=seconds),
        )


def choose_axis(page: Page, name: str) -> None:
    page.locator("#outcomes label").get_by_text(name, exact=True).click()


def drawn(page: Page) -> dict[str, list[list[float]]]:
    """x and y of each method's points."""
    return page.locator("#outcomes .chart").evaluate(
        "(chart) => Object.fromEntries(chart.data.filter(({ mode }) => mode.startsWith('markers'))"
        ".map(({ name, x, y }) => [name, [x, y]]))"
    )


def test_a_recorded_race_and_then_three_seeds_of_ones_own_are_compared(visit: Visit, server: Server) -> None:
    for run in server.store.history():
        server.store.remove(run.id)
    page = visit("?tab=compare&page=results", ready="#outcomes .seen p")
    page.locator("#outcomes .chart svg").first.wait_for()
    a_recorded_race_is_there_until_own_runs_finish(page, server)
    the_table_and_the_file_say_the_same(page)
    assert not axe_violations(page, "#outcomes")
    axes_change_points_and_sentences(page)
    a_finished_race_fills_the_costs(page)
    page.get_by_role("link", name="Results").click()
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("() => document.documentElement.scrollWidth <= 390")  # the chart is drawn anew


def a_recorded_race_is_there_until_own_runs_finish(page: Page, server: Server) -> None:
    expect(page.locator("#outcomes h2")).to_have_text("What a recorded race gave")
    expect(page.locator("#outcomes .origin")).to_contain_text("recorded on 24 November 2026")
    assert drawn(page).keys() == {"CDVFT", "LoRA", "FourierFT"}
    page.get_by_role("link", name="Decide").click()
    page.get_by_role("button", name="Methods, sizes, layers").click()
    page.locator("#cost-race input").click()
    expect(page.locator("#cost-race")).to_contain_text("None has finished here yet.")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Results").click()
    for seed in range(3):
        finish(server, seed)
    page.evaluate("document.dispatchEvent(new CustomEvent('runs-changed'))")
    expect(page.locator("#outcomes h2")).to_have_text("What your runs gave")
    expect(page.locator("#outcomes select option")).to_have_text(
        ["MNIST, 5,000 images with ViT-S/14, derived from DINOv2 · 600 examples, 76 steps · 9 runs",
         "Recorded: Rotten Tomatoes with MiniLM (6 layers) · 2,048 examples, 128 steps · 3 runs"]
    )  # fmt: skip
    x, y = drawn(page)["CDVFT"]  # three seeds are one point
    assert (x, y) == ([46_080], [pytest.approx(92.5)])
    bars = page.locator("#outcomes .chart").evaluate("(chart) => chart.data.at(-3).error_y")
    assert bars["array"] == pytest.approx(bars["arrayminus"]) and bars["array"][0] > 0.5, "the judge's band"
    a_choice_without_an_answer_is_said_and_taken_back(page)


def a_choice_without_an_answer_is_said_and_taken_back(page: Page) -> None:
    page.route("**/compare/outcomes/outcomes", lambda route: route.abort())
    choice = page.get_by_label("Runs that are compared")
    mine = choice.input_value()
    choice.select_option(index=1)
    expect(page.get_by_text("The server did not answer; try again in a moment.")).to_be_visible()
    expect(choice).to_have_value(mine)
    page.unroute("**/compare/outcomes/outcomes")
    choice.select_option(index=1)
    expect(page.locator("#outcomes h2")).to_have_text("What a recorded race gave")
    choice.select_option(index=0)
    expect(page.locator("#outcomes h2")).to_have_text("What your runs gave")


def the_table_and_the_file_say_the_same(page: Page) -> None:
    page.locator("#outcomes summary", has_text="Show as table").click()
    row = page.locator("#outcomes table.numbers tbody tr", has_text="CDVFT")
    expect(row.locator("td").nth(0)).to_have_text("3 (seeds 0, 1, 2)")
    expect(row.locator("td").nth(2)).to_have_text("92.0\u00a0% to 93.0\u00a0%")
    expect(row.locator("td").last).to_have_text("yes")
    runs = json.loads(downloaded(page.get_by_role("button", name="Save runs as JSON")).read_text())
    assert len(runs) == 9
    assert {run["seed"] for run in runs if run["method"]["method"] == "lora"} == {0, 1, 2}


def axes_change_points_and_sentences(page: Page) -> None:
    seen = page.locator("#outcomes .mount")  # the first sentence, and below it the others, folded
    expect(seen).to_contain_text("CDVFT m\u00a0=\u00a02 has 0.5 points more than LoRA r\u00a0=\u00a08 (")
    expect(seen).to_contain_text(
        re.compile(r"3\.5 points (more )?(than )?.*FourierFT|FourierFT.* 3\.5 points")
    )
    choose_axis(page, "Training seconds")
    expect(seen).to_contain_text("has the highest accuracy with the shortest training")
    assert drawn(page)["LoRA"][0] == [pytest.approx(20.0)]
    choose_axis(page, "Extra FLOPs")
    expect(seen).to_contain_text("extra FLOPs")
    assert drawn(page)["FourierFT"][0][0] > 10 * drawn(page)["CDVFT"][0][0]
    page.get_by_label("Runs that are compared").select_option(index=1)
    expect(page.locator("#outcomes h2")).to_have_text("What a recorded race gave")
    choose_axis(page, "Peak memory")
    expect(page.locator("#outcomes .seen").first).to_have_text("Nobody measured the memory of these runs.")
    expect(page.locator("#outcomes summary", has_text="In words")).to_be_hidden()


def a_finished_race_fills_the_costs(page: Page) -> None:
    page.get_by_role("link", name="Decide").click()
    page.locator("#cost-race input").click()
    expect(page.locator("#cost-race")).to_contain_text("Fills in its model, layers and settings.")
    page.get_by_role("option", name="Three digits").first.click()
    expect(page.locator("#costs h2").first).to_have_text("timm/vit_small_patch14_dinov2")
    expect(page.locator("#costs .origin")).to_contain_text("16 × 26 tokens a step")
    expect(page.locator("#costs .answers tr.parameters td")).to_have_text(["46,080", "221,184", "24,000"])
    expect(page.locator("#cost-race-took")).to_contain_text("CDVFT 20.0 s, 1.00 GB")
