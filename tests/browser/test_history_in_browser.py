"""The history: races found, laid over one another, renamed, deleted and opened again."""

from __future__ import annotations

import re

import run_events
from playwright.sync_api import Page, expect
from studio import Hold, Server, Visit, axe_violations, judged, start_race, status

from cdvft_app.events import Evaluation, Step
from cdvft_app.settings import RunSettings


def kept(server: Server, metric_name: str, recipe: str = "sentiment") -> str:
    """A run whose second of three evaluations was the best, of that metric."""
    (run,) = server.store.create([RunSettings(method="lora", recipe=recipe)], "somebody", recipe, "1:1")
    store = server.store
    store.append(run.id, run_events.started(3, metric_name=metric_name))
    for step, score in ((1, 0.5), (2, 0.9), (3, 0.7)):
        store.append(run.id, Step(step, 1.0 * step, 1 / step, 0.1, None, None))
        store.append(run.id, Evaluation(step, 1.0 * step, 0.1, metric_name, score, validation=True))
    store.append(run.id, Evaluation(3, 3.0, 0.1, metric_name, 0.75))
    store.append(run.id, Evaluation(2, 3.0, 0.1, metric_name, 0.85, final=True))
    folder = store.folder(run.id)
    done = run_events.done(
        3, folder, metric_name=metric_name, metric=0.85, best_step=2, last_metric=0.75, seconds=3.0
    )
    store.append(run.id, done)
    return run.id


def test_races_are_overlaid_renamed_stopped_and_deleted(visit: Visit, server: Server, hold: Hold) -> None:
    for _ in range(2):
        kept(server, "accuracy")
    page = visit()  # no run in the address
    the_race_shown_at_first_is_marked_and_another_laid_over_it_by_keyboard(page)
    races_are_overlaid_renamed_and_deleted(page)
    a_press_lasts_while_another_race_of_the_list_changes(page, server)
    more_runs_than_are_drawn_are_said(page, server)
    a_race_that_trains_cannot_be_deleted_until_it_is_stopped(page, hold)


def the_race_shown_at_first_is_marked_and_another_laid_over_it_by_keyboard(page: Page) -> None:
    races = page.locator("#history .race")
    expect(page.locator("#history .race.shown")).to_have_count(1)  # the best of them
    expect(page.locator("#history .race.shown").get_by_role("button", name="Overlay")).to_have_count(0)
    other = races.nth(1 if "shown" in (races.first.get_attribute("class") or "") else 0)
    other.get_by_role("button", name="Overlay").focus()
    page.keyboard.press("Enter")
    expect(other.get_by_role("button", name="Take out")).to_be_focused()
    shown = page.locator("#history .race.shown")
    expect(shown).to_have_count(2)
    entries = shown.locator(".race-results li").count()
    expect(page.locator("#run .scoreboard tbody tr")).to_have_count(entries)


def races_are_overlaid_renamed_and_deleted(page: Page) -> None:
    start_race(page, steps=10)
    expect(status(page)).to_have_text("All 3 finished")
    start_race(page, steps=20)
    expect(status(page)).to_have_text("All 3 finished")
    races = page.locator("#history .race")
    expect(races.nth(1)).to_contain_text("10 steps")
    expect(races.nth(0)).to_contain_text("80.0 %")
    judged(page)
    races.nth(1).get_by_role("button", name="Overlay").click()
    expect(page.locator("#run .scoreboard tbody tr")).to_have_count(6)
    races.nth(1).get_by_role("button", name="Rename").click()
    page.get_by_label("New name").fill("Ten <b>steps</b>")
    page.keyboard.press("Enter")
    expect(races.nth(1).locator(".race-name")).to_have_text("Ten <b>steps</b>")
    races.nth(1).get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(races.filter(has_text="Ten <b>steps</b>")).to_have_count(0)
    expect(page.locator("#run .scoreboard tbody tr")).to_have_count(3)
    races.nth(0).get_by_role("button", name="Open").click()
    page.get_by_role("button", name="Use these settings").click()
    expect(page.locator("#set-epochs input")).to_have_value("2")


def a_press_lasts_while_another_race_of_the_list_changes(page: Page, server: Server) -> None:
    theirs = kept(server, "accuracy")
    start_race(page, steps=5)
    expect(status(page)).to_have_text("All 3 finished")
    judged(page)
    races = page.locator("#history .race")
    expect(races.nth(0)).to_contain_text("80.0 %")
    races.nth(0).get_by_role("button", name="Rename").hover()
    page.mouse.down()
    server.store.rename(theirs, "Another name", "somebody")
    page.evaluate("() => document.dispatchEvent(new CustomEvent('runs-changed'))")
    expect(races.nth(1)).to_contain_text("Another name")
    page.mouse.up()
    field = page.get_by_label("New name")
    expect(field).to_be_visible()
    races.filter(has_text="20 steps").get_by_role("button", name="Delete").click()
    expect(field).to_be_hidden()  # one race at a time: the other would have no way back
    expect(races.nth(0).get_by_role("button", name="Rename")).to_be_visible()
    page.get_by_role("button", name="Keep it").click()
    expect(races.filter(has_text="20 steps").get_by_role("button", name="Delete")).to_be_visible()


def more_runs_than_are_drawn_are_said(page: Page, server: Server) -> None:
    runs = [run.id for run in server.store.history(6)]
    show = "(detail) => document.dispatchEvent(new CustomEvent('show-runs', { detail }))"
    page.evaluate(show, [*runs[:4], *(f"{place:032x}" for place in range(30))])
    expect(page.locator("#run .problem")).to_have_text(
        "At most 32 runs are drawn together; these are the first."
    )
    expect(page.locator("#run .scoreboard tbody tr")).to_have_count(4)
    page.evaluate(show, runs[:3])
    expect(page.locator("#run .problem")).to_be_hidden()
    expect(page.locator("#run .scoreboard tbody tr")).to_have_count(3)


def a_race_that_trains_cannot_be_deleted_until_it_is_stopped(page: Page, hold: Hold) -> None:
    before = page.locator("#run h2").inner_text()
    hold(5)
    start_race(page, steps=20)
    expect(status(page)).to_contain_text("step 5")
    race = page.locator("#history .race").first
    delete = race.get_by_role("button", name="Delete")
    expect(delete).to_be_disabled()
    expect(race).to_contain_text("stop it first to delete it")
    page.locator("#stop").click()
    expect(status(page)).to_contain_text("stopped")
    expect(delete).to_be_enabled()
    delete.click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.locator("#run h2")).to_have_text(before)
    expect(status(page)).to_have_text("All 3 finished")


def test_entries_of_one_method_have_lines_of_their_own_and_what_is_opened_is_seen(
    visit: Visit, server: Server
) -> None:
    kept(server, "accuracy")
    entries = [RunSettings(method="cdvft", alpha=alpha) for alpha in (1, 5)]
    for run in server.store.create(entries, "somebody", "Two of one method", "1:1"):
        server.store.append(run.id, run_events.started(3))
        server.store.append(run.id, run_events.done(3))
    page = visit("?run=nothing", viewport={"width": 1280, "height": 400})
    results = page.locator("#history .race").first.locator(".race-results li")
    expect(results.nth(0)).to_contain_text("α = 1")
    expect(results.nth(1)).to_contain_text("α = 5")
    dashes = [results.nth(n).locator("line").get_attribute("stroke-dasharray") for n in (0, 1)]
    assert dashes[0] is None and dashes[1], "as in the chart"

    page.locator("#history .race").last.get_by_role("button", name="Open").click()
    page.wait_for_url(re.compile(r"[?&]run=[0-9a-f]{32}"))
    expect(page.locator("#run h2")).to_be_in_viewport()


def test_the_table_finds_sorts_tags_fits_a_phone_and_deletes_several_runs(visit: Visit) -> None:
    page = visit()
    start_race(page, steps=10)
    expect(status(page)).to_have_text("All 3 finished")
    judged(page)
    page.get_by_text("Table of runs").click()
    history = page.locator("#history")
    rows = history.locator(".history-table tbody tr")
    expect(rows.first).to_be_visible()
    training = page.get_by_role("columnheader", name="Training", exact=True)
    said = "Seconds of training steps alone, without loading and evaluation."
    assert training.evaluate_all("(both) => both.map(({ title }) => title)") == [said] * 2  # the race's, too
    expect(rows.first).to_contain_text(re.compile(r"\d s"))
    every = rows.count()
    history.get_by_role("searchbox", name="Search the history").fill("lora finished")
    expect(rows.filter(has_not_text="LoRA")).to_have_count(0)
    history.get_by_role("button", name="Score").click()
    expect(history.get_by_role("columnheader", name="Score")).to_have_attribute("aria-sort", "descending")
    expect(history.get_by_role("button", name="Score")).to_be_focused()
    delete = history.get_by_role("button", name="Delete")
    expect(delete).to_be_disabled()
    mine = rows.filter(has_text="Sentiment of film reviews").first
    mine.get_by_role("checkbox").focus()
    page.keyboard.press("Space")
    expect(mine.get_by_role("checkbox")).to_be_focused()
    history.get_by_role("button", name="Tag", exact=True).click()
    page.keyboard.type("baseline")
    page.keyboard.press("Enter")
    expect(mine).to_contain_text("#baseline")
    history.get_by_role("searchbox").fill("")
    history.get_by_role("combobox", name="Filter by tag").select_option("baseline")
    expect(rows).to_have_count(3)  # of its race
    history.get_by_role("checkbox", name="Choose all that are found").check()
    history.get_by_role("button", name="Compare").click()
    expect(page.locator("#run .scoreboard tbody tr")).to_have_count(3)
    assert axe_violations(page, "#history") == []

    a_long_name_wraps_and_the_table_stays_within_a_phone(page)

    history.get_by_role("searchbox").fill("WWW")  # the tag was a word of the name before
    expect(rows).to_have_count(3)
    history.get_by_role("checkbox", name="Choose all that are found").check()
    delete.click()
    history.get_by_role("button", name="Delete for good").click()
    expect(rows).to_have_count(0)
    history.get_by_role("searchbox").fill("")
    expect(rows).to_have_count(every - 3)


def a_long_name_wraps_and_the_table_stays_within_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("#history").get_by_text("Races", exact=True).click()
    race = page.locator("#history .race").first
    race.get_by_role("button", name="Rename").click()
    page.get_by_label("New name").fill("W" * 120)
    page.keyboard.press("Enter")
    expect(page.locator("#run h2")).to_have_text("W" * 120)
    expect(race.locator(".race-name")).to_have_text("W" * 120)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    page.get_by_text("Table of runs").click()
    expect(page.locator("#history .history-table tbody tr").first).to_be_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


TRACES = """() => (document.querySelector('#run .js-plotly-plot')?.data ?? [])
  .map(({ name, x, y }) => [name, [...x], [...y]])"""


def test_metrics_have_one_name_each_and_the_step_that_is_kept_is_marked_and_named_with_the_score(
    visit: Visit, server: Server
) -> None:
    first, second = kept(server, "accuracy"), kept(server, "pearson", "stsb")
    page = visit(f"?run={first},{second}")
    expect(page.locator("#run .scoreboard th.metric")).to_have_text("Score")
    expect(page.locator("#run .scoreboard td.metric").nth(0)).to_contain_text("Accuracy")
    expect(page.locator("#run .scoreboard td.metric").nth(1)).not_to_contain_text("Accuracy")
    expect(page.locator("#run h2").first).to_have_text("sentiment and stsb")
    page.locator("#history .race.shown", has_text="stsb").get_by_role("button", name="Take out").click()
    expect(page.locator("#run .scoreboard tbody tr")).to_have_count(1)
    page.locator("#run .run-chart").get_by_text("Accuracy").first.click()
    page.wait_for_function(f"() => ({TRACES})().at(-1)?.[0].endsWith('kept')")
    assert page.evaluate(TRACES) == [
        ["LoRA r\u00a0=\u00a08", [1, 2, 3], [50, 90, 70]],
        ["LoRA r\u00a0=\u00a08, kept", [2], [90]],
    ]
    score = page.locator("#run .scoreboard td.metric")
    expect(score).to_have_text("85.0 %")
    expect(score).to_have_attribute("title", "Of step 2, the best on validation rows; the last step: 75.0 %")
