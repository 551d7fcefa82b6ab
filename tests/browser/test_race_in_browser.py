"""A race from Start to its end, as a person sees it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from studio import (
    Hold,
    Server,
    Visit,
    fill_in,
    judged,
    look_again,
    open_fold,
    spot,
    start_race,
    status,
    steps_at_most,
)

from cdvft_app import catalog
from cdvft_app.settings import RunSettings
from cdvft_app.store.processes import this_process


def curve_points(page: Page, count: list[int]) -> None:
    """Wait until the curves have so many points each."""
    points = "JSON.stringify((document.querySelector('#run .chart').data ?? []).map(({ x }) => x.length))"
    page.wait_for_function(f"(count) => {points} === JSON.stringify(count)", arg=count)


def test_start_watch_finish_and_look_into_it(visit: Visit, hold: Hold) -> None:
    hold(20)
    page = visit()
    expect(page.locator(".promise b")).to_have_text("13,824")
    start_race(page)
    expect(status(page)).to_contain_text(re.compile("CDVFT (preparing|running)"))
    expect(status(page)).to_contain_text(
        re.compile(r"step 20 of 40 · 0:\d\d( to 0:\d\d)? left for all 3 · next: LoRA")
    )
    expect(page.locator("#stop")).to_be_visible()
    expect(page.locator("#resume")).to_be_hidden()
    hold(None)
    rows = page.locator("#run .scoreboard tbody tr")
    expect(rows).to_have_count(3)
    expect(status(page)).to_have_text("All 3 finished")
    expect(rows.nth(0)).to_contain_text("80.0 %")
    expect(rows.nth(1)).to_contain_text("73,728")
    expect(page.locator("#stop")).to_be_hidden()
    expect(page.locator("#resume")).to_be_hidden()
    curve_points(page, [40] * 6)  # measured and smoothed, of three methods
    expect(page.locator("#history .race").first).to_contain_text("80.0 %")
    switches_change_the_curves(page)
    commands_reproduce_the_race(page)
    whether_more_rows_would_help_is_asked_once_and_said(page)


def switches_change_the_curves(page: Page) -> None:
    chart = page.locator("#run .chart")
    curve_points(page, [40] * 6)
    page.locator("#run").get_by_text("Accuracy", exact=True).first.click()
    curve_points(page, [6] * 3)
    page.locator("#run").get_by_text("Seconds", exact=True).click()
    page.locator("#run").get_by_text("Log", exact=True).click()
    shown = chart.evaluate(
        "(chart) => [chart.layout.yaxis.type, chart.layout.xaxis.title.text, chart.data[0].x[1]]"
    )
    assert shown == ["log", "Seconds of training", pytest.approx(0.2)]
    page.locator("#run").get_by_text("Loss", exact=True).click()
    page.locator("#run .smooth input").fill("0")
    curve_points(page, [40] * 3)
    page.get_by_role("button", name="Show the curve of LoRA").click()
    curve_points(page, [40] * 2)
    page.locator("#run summary", has_text="Show as table").click()
    expect(page.locator("#run table.numbers tbody tr")).to_have_count(80)


def commands_reproduce_the_race(page: Page) -> None:
    page.locator(".reproduce summary").click()
    expect(page.locator(".reproduce pre")).to_have_count(3)
    commands = page.locator(".reproduce pre").all_inner_texts()
    assert commands[0].startswith("python -m cdvft_app train --recipe sentiment --method cdvft --m 2")
    assert "--target-modules query --target-modules value" in commands[0]
    assert "--lora-r" not in commands[0]


def whether_more_rows_would_help_is_asked_once_and_said(page: Page) -> None:
    ask = page.get_by_role("button", name="Would more rows help?")
    ask.click()
    rows = page.locator("#run .scoreboard tbody tr")
    expect(rows).to_have_count(5)
    expect(status(page)).to_have_text("All 5 finished")
    for place, count in ((3, 21), (4, 42)):
        expect(rows.nth(place)).to_contain_text(f", {count} rows")
    expect(page.locator("#run .outcome")).to_contain_text("that more rows would help")
    expect(ask).to_be_hidden()
    page.reload()
    expect(status(page)).to_have_text("All 5 finished")
    expect(page.locator("#run .outcome")).to_contain_text("that more rows would help")


def test_stop_keeps_what_was_done_resume_goes_on_and_a_zoom_survives_both(visit: Visit, hold: Hold) -> None:
    hold(40)
    page = visit()
    start_race(page, steps=80)
    expect(status(page)).to_contain_text("step 40 of 80")
    page.wait_for_function("() => document.querySelector('#run .chart').data?.[0]?.x.length === 40")
    area = page.locator("#run .chart .nsewdrag")
    area.hover(position=spot(area, 0.1))
    page.mouse.down()
    area.hover(position=spot(area, 0.5), force=True)  # Plotly covers the area while one drags
    page.mouse.up()
    page.wait_for_function("() => document.querySelector('#run .chart').layout.xaxis.range[0] > 0")
    range_shown = "(chart) => chart.layout.xaxis.range"
    chosen = page.locator("#run .chart").evaluate(range_shown)
    assert chosen == pytest.approx([8, 40], abs=4)

    hold(60)
    expect(status(page)).to_contain_text("step 60 of 80")
    curve_points(page, [60] * 2)
    assert page.locator("#run .chart").evaluate(range_shown) == chosen
    page.locator("#stop").click()
    expect(status(page)).to_have_text("All 3 stopped")
    expect(page.locator("#history .race").first).to_contain_text("CDVFT stopped at step 60")
    curve_points(page, [60] * 2)
    hold(None)
    page.locator("#resume").click()
    expect(status(page)).to_have_text("All 3 finished")
    curve_points(page, [80] * 6)
    assert page.locator("#run .chart").evaluate("(chart) => chart.data[0].x") == list(range(1, 81))
    assert page.locator("#run .chart").evaluate(range_shown) == chosen


def test_refresh_and_another_device_find_the_run_and_train_in_the_same_queue(
    visit: Visit, hold: Hold
) -> None:
    hold(20)
    page = visit()
    remembered = "localStorage.getItem('cdvft-form')"
    before = page.evaluate(remembered)
    fill_in(steps_at_most(page), "60")
    page.wait_for_function(f"(before) => {remembered} !== before", arg=before)
    start_race(page, steps=60)
    expect(status(page)).to_contain_text("CDVFT running · step 20 of 60")
    page.reload()
    expect(status(page)).to_contain_text("CDVFT running · step 20 of 60")
    expect(page.locator("#stop")).to_be_visible()
    expect(steps_at_most(page)).to_have_value("60")

    other = visit("?" + page.url.partition("?")[2])
    expect(status(other)).to_contain_text("CDVFT running · step 20 of 60")
    expect(other.locator("#stop")).to_be_hidden()
    expect(other.locator("#reason")).to_contain_text("Only the browser that started this race")
    expect(other.locator("#history").get_by_role("button", name="Delete").first).to_be_disabled()
    page.locator("#stop").click()
    expect(status(page)).to_have_text("All 3 stopped")
    expect(status(other)).to_have_text("All 3 stopped")

    hold(None)
    page.locator("#resume").click()
    expect(status(page)).not_to_have_text("All 3 stopped")
    look_again(other)  # at rest it asks every ten seconds only
    expect(status(other)).to_have_text("All 3 finished")
    races = page.locator("#history .race")
    judged(page)
    races.first.get_by_role("button", name="Rename").click()
    page.get_by_label("New name").fill("Seen by all")
    page.keyboard.press("Enter")
    expect(page.locator("#run h2")).to_have_text("Seen by all")
    look_again(other)
    expect(other.locator("#run h2")).to_have_text("Seen by all")
    both_train_in_the_same_queue(page, other, hold)


def both_train_in_the_same_queue(first: Page, second: Page, hold: Hold) -> None:
    hold(5)
    start_race(first, steps=10)
    expect(status(first)).to_contain_text("CDVFT running · step 5 of 10")
    start_race(second, steps=12)
    expect(status(second)).to_have_text("CDVFT queued · place 3 in the queue")
    expect(second.locator("#stop")).to_be_visible()
    hold(None)
    expect(status(first)).to_have_text("All 3 finished")
    expect(status(second)).to_have_text("All 3 finished")


def test_a_race_outlives_its_server_and_one_that_fails_is_a_card(
    visit: Visit, server: Server, hold: Hold
) -> None:
    hold(0)
    page = visit()
    start_race(page, steps=40)
    expect(status(page)).to_contain_text("CDVFT running · step 0 of 40")
    axes_bear_numbers_only_where_there_is_something_to_read(page)
    hold(20)
    expect(status(page)).to_contain_text("CDVFT running · step 20 of 40")
    server.stop()
    expect(page.locator("#run .notice")).to_contain_text("The server does not answer")
    server.start()
    expect(page.locator("#run .notice")).to_be_hidden()
    page.reload()
    expect(page.locator("#stop")).to_be_visible()  # the same browser is still the owner
    page.locator("#stop").click()
    expect(page.locator("#run .scoreboard tbody tr.stopped")).to_have_count(3)
    expect(page.locator("#history .race")).not_to_have_count(0)
    failure_is_a_card_that_stays_open_while_others_train(page, hold)
    runs_that_failed_for_one_reason_share_a_card_and_without_a_step_have_no_axes(page, server)


def axes_bear_numbers_only_where_there_is_something_to_read(page: Page) -> None:
    ticks = page.locator("#run .chart .ytick text")
    expect(page.locator("#run .chart-empty")).to_have_text("The curves begin with the first step.")
    expect(ticks).to_have_count(0)
    page.locator("#run").get_by_text("Accuracy", exact=True).first.click()
    page.locator("#run").get_by_text("Log", exact=True).click()
    page.wait_for_function("() => document.querySelector('#run .chart').layout?.yaxis.type === 'log'")
    expect(ticks).not_to_have_count(0)
    numbers = [float(text) for text in ticks.all_text_contents()]
    assert numbers == sorted(numbers)  # whole numbers, no digits between powers of ten
    assert page.locator("#run .chart").evaluate("(chart) => chart.data.every((line) => !line.cliponaxis)")


def failure_is_a_card_that_stays_open_while_others_train(page: Page, hold: Hold) -> None:
    hold(10)
    open_fold(page, "Learning rates")
    fill_in(page.locator("#set-learning_rate-cdvft input"), "9.5")
    start_race(page)
    card = page.get_by_role("article", name="CDVFT failed")
    expect(card).to_contain_text("The loss became NaN at step 6.")
    expect(card).to_contain_text("Start again with a tenth of it.")
    card.locator("summary").click()
    expect(card.locator("dl")).to_be_visible()
    expect(card).to_contain_text('"learning_rate":9.5')
    expect(page.locator("#set-learning_rate-cdvft input")).to_have_value("9.5")
    hold(None)
    expect(status(page)).to_have_text("2 finished · 1 failed")
    expect(page.locator("#run .outcome")).to_be_visible()  # the judge's, above it
    expect(card.locator("dl")).to_be_visible()
    expect(page.locator("#history .race").first).to_contain_text(re.compile(r"CDVFT failed at step \dLoRA"))


def runs_that_failed_for_one_reason_share_a_card_and_without_a_step_have_no_axes(
    page: Page, server: Server
) -> None:
    methods: tuple[str, ...] = ("cdvft", "lora", "head")
    plans = [catalog.resolve(RunSettings(method=method)).settings for method in methods]
    runs = server.store.create(plans, "somebody", process=this_process())
    for run, reason in zip(runs, ("The disk is full. Free some.",) * 2 + ("NaN.",), strict=True):
        server.store.set_state(run.id, "failed", reason)
    show = "(detail) => document.dispatchEvent(new CustomEvent('show-runs', { detail }))"
    page.evaluate(show, [run.id for run in runs])
    shared = page.get_by_role("article", name="CDVFT and LoRA r = 8 failed")
    expect(shared).to_contain_text("The disk is full.")
    expect(page.get_by_role("article", name="Head only failed")).to_contain_text("NaN.")
    expect(page.get_by_role("article")).to_have_count(2)
    shared.locator("summary").click()
    for run in runs[:2]:
        expect(shared).to_contain_text(run.id)
    expect(page.locator("#run .chart-empty")).to_have_text("No step was made.")
    expect(page.locator("#run .chart .xtick")).to_have_count(0)
