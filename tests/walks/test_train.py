"""Train: the form, a race from Start to its end, and what interrupts it."""

from __future__ import annotations

import gradio as gr
import pytest
from playwright.sync_api import expect
from waiting import wait

from cdvft_app.ui.train import tab as train_tab
from walks import runs
from walks.pages import Hold, Train, Visit, fill
from walks.studio import Studio
from walks.visitors import PHONE

MINILM = 6 * 2 * 3 * 384  # layers, adapted modules, and 2m - 1 vectors of d for m = 2
DIGITS = 12 * (3 * 384 + 384 + 2 * 1152)


def test_race_is_drawn_live_from_start_to_end(visit: Visit, hold: Hold, studio: Studio) -> None:
    hold(1)
    train = visit(Train)
    expect(train.trained).to_have_text(f"{MINILM:,}")
    ids = train.start(steps=2)
    train.at_step(1)
    expect(train.find("#stop")).to_be_visible()
    expect(train.find("#resume")).to_be_hidden()
    hold(None)
    train.until("finished", 3)
    train.curves(6, 2)  # measured and smoothed, of three methods
    expect(train.rows().first.locator(".metric")).to_contain_text("80.0")
    expect(train.find("#stop")).to_be_hidden()
    expect(train.races.first.locator("a[aria-current]")).to_be_visible()
    assert {studio.store.get(one).state for one in ids} == {"finished"}


def test_chart_hides_curves_and_shows_a_table(visit: Visit, studio: Studio) -> None:
    train = visit(Train, run=",".join(runs.build(studio, steps=3)))
    train.curves(4, 3)
    train.find("#run .show-curve").first.click()
    train.curves(2, 3)
    train.unfold("#run .run-chart")
    expect(train.find("#run .run-chart table tbody tr")).to_have_count(3)


def test_stopped_race_resumes_where_it_was(visit: Visit, hold: Hold) -> None:
    hold(2)
    train = visit(Train)
    train.start(steps=4)
    train.at_step(2)
    train.find("#stop").click()
    train.until("stopped", 3)
    hold(None)
    train.find("#resume").click()
    train.until("finished", 3)
    train.curves(6, 4)
    assert train.find("#run .chart").evaluate("(chart) => chart.data[0].x") == [1, 2, 3, 4]


def test_running_race_outlives_reload_and_closed_tab(visit: Visit, hold: Hold, studio: Studio) -> None:
    hold(1)
    train = visit(Train)
    ids = train.start(steps=2)
    train.at_step(1)
    train.reload()
    train.until("running", 1)
    expect(train.find("#stop")).to_be_visible()
    expect(train.setting("max_steps")).to_have_value("2")

    stranger = visit(Train, run=",".join(ids))
    stranger.until("running", 1)
    expect(stranger.find("#stop")).to_be_hidden()
    stranger.races.first.locator("input").check()
    expect(stranger.button("Delete", "#history")).to_be_disabled()

    beside = visit(Train, beside=train.page, run=ids[0])
    train.page.goto("about:blank")
    beside.page.close()
    hold(None)
    for one in ids:
        wait(studio.store, one, "finished")
    stranger.until("finished", 3)


def test_failed_run_is_a_card_and_the_others_finish(visit: Visit) -> None:
    train = visit(Train)
    fill(train.setting("learning_rate-cdvft"), "9.5")
    train.start()
    train.until("failed", 1)
    train.until("finished", 2)
    card = train.find("#run article.failure")
    expect(card).to_have_count(1)
    card.locator("summary").click()
    expect(card.locator("dl")).to_contain_text("9.5")


def test_runs_with_one_reason_share_a_failure_card(visit: Visit, studio: Studio) -> None:
    ids = runs.build(studio, state="failed", reason="Disk full.", steps=0)
    ids += runs.build(studio, state="failed", method="head", reason="NaN.", steps=0)
    train = visit(Train, run=",".join(ids))
    cards = train.find("#run article.failure")
    expect(cards).to_have_count(2)
    for one in ids[:2]:
        expect(cards.first.locator("dl")).to_contain_text(one)


def test_invalid_settings_disable_start(visit: Visit) -> None:
    train = visit(Train)
    for name, wrong in (("m", "1"), ("lora_r", "0"), ("max_steps", "many"), ("learning_rate-cdvft", "-1")):
        field = train.setting(name)
        was = field.input_value()
        fill(field, wrong)
        expect(train.problem).to_contain_text(wrong)
        expect(train.start_button).to_be_disabled()
        fill(field, was)
        expect(train.start_button).to_be_enabled()
    fill(train.setting("m"), "3")
    expect(train.trained).to_have_text(f"{MINILM // 3 * 5:,}")


def test_recipe_brings_its_settings_and_is_remembered(visit: Visit) -> None:
    train = visit(Train)
    train.recipe("mnist").check()
    expect(train.trained).to_have_text(f"{DIGITS:,}")
    for _ in ("chosen", "reloaded"):
        expect(train.recipe("mnist")).to_be_checked()
        train.unfold("#choose")
        expect(train.find("#set-target_modules")).to_contain_text("attn.qkv")
        expect(train.find("#set-image_size")).to_be_visible()
        expect(train.find("#set-max_length")).to_be_hidden()
        train.reload()
    train.method("c3a").check()
    expect(train.setting("learning_rate-c3a")).to_be_visible()


def test_race_settings_fill_the_form(visit: Visit, studio: Studio) -> None:
    (run,) = runs.build(studio, method="lora", recipe="mnist", max_steps=23)
    train = visit(Train, run=run)
    expect(train.recipe("sentiment")).to_be_checked()
    train.find("#run .run-head").get_by_role("button").last.click()
    expect(train.recipe("mnist")).to_be_checked()
    expect(train.setting("max_steps")).to_have_value("23")
    expect(train.find("#set-methods input:checked")).to_have_count(1)


def test_unknown_names_in_the_address_are_refused(visit: Visit) -> None:
    train = visit(Train, recipe="nonsense", methods="lora", lora_r="4", run="../../etc/passwd,<script>")
    expect(train.find("#run .problem")).to_be_visible()
    expect(train.problem).to_contain_text("nonsense")
    expect(train.start_button).to_be_disabled()
    expect(train.setting("lora_r")).to_have_value("4")
    train.recipe("mnist").check()
    expect(train.start_button).to_be_enabled()


def test_form_stays_closed_until_the_server_fills_it(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, troubles: list[str]
) -> None:
    def busy(*_: object) -> None:
        raise gr.Error("busy")

    train = visit(Train)
    with monkeypatch.context() as patch:
        patch.setattr(train_tab, "first_shown", busy)
        train.page.reload()
        expect(train.find("#run .problem")).to_be_visible()
        expect(train.find("#choose")).to_have_attribute("inert", "")
    assert [one for one in troubles if "500" in one] == troubles != []
    troubles.clear()
    train.reload()
    expect(train.find("#choose[inert]")).to_have_count(0)


def test_keyboard_reaches_start_and_the_curves(visit: Visit) -> None:
    train = visit(Train)
    fill(train.setting("max_steps"), "2")
    train.recipe("sentiment").focus()
    reached = tab_to(train, "#start")
    train.page.keyboard.press("Enter")
    train.until("finished", 3)
    train.judged()
    tab_to(train, "#run .show-curve")
    train.page.keyboard.press("Space")
    expect(train.find("#run .show-curve").first).to_have_attribute("aria-pressed", "false")
    tab_to(train, "#history tbody input")
    assert {"set-methods", "set-alpha", "set-max_steps"} <= reached


def tab_to(train: Train, selector: str) -> set[str]:
    """Press Tab until the focus is there. Returns the ids on the way."""
    passed = set()
    for _ in range(90):
        train.page.keyboard.press("Tab")
        there, name = train.page.evaluate(
            """(selector) => [document.activeElement.matches(selector),
                 document.activeElement.closest("[id]")?.id]""",
            selector,
        )
        if there:
            return passed
        passed.add(name)
    raise AssertionError(f"{selector} is not reached: {passed}")


def test_phone_shows_the_race_first_once_it_runs(visit: Visit, hold: Hold) -> None:
    hold(1)
    train = visit(Train, viewport=PHONE)
    stop = train.find("#run .stop-here")
    expect(stop).to_be_hidden()
    train.start()
    train.at_step(1)
    expect(train.find("#set-methods")).to_be_hidden()
    expect(train.find("#run h2").first).to_be_in_viewport()
    stop.click()
    train.until("stopped", 3)
