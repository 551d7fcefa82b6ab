"""Models that write, on the page: their answers side by side in Use, and how they change on the Train tab."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest
import tiny_races
from playwright.sync_api import Page, expect
from studio import Server, Visit, axe_violations, spot
from waiting import wait_for

from cdvft_app.catalog import MODELS
from cdvft_app.catalog.dataset_readers import Rows
from cdvft_app.results.answering import Answering, Questions
from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore

STOPPED, HOLDS = threading.Event(), threading.Event()
OWN = "go go go 2"
PHONE = {"width": 390, "height": 844}


def stream_here(self: Answering, question: str, **about: object) -> Iterator[object]:
    """In this process; while it `HOLDS`, it waits after a few pieces until it is stopped."""
    STOPPED.clear()
    asked = Questions(RunStore(self._store.root), STOPPED.is_set)
    for place, item in enumerate(getattr(asked, question)(**about)):
        yield item
        if HOLDS.is_set() and place > 2:
            wait_for(STOPPED.is_set)


@pytest.fixture(scope="module")
def race(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The ids of a finished race of two methods on a tiny language model, which this process answers for."""
    import tiny_models

    tiny = tiny_races.entry("smollm2", tiny_models.causal(tmp_path_factory.mktemp("llama")))
    rows = Rows(tiny_models.numbers(24, seed=1), tiny_models.numbers(8, seed=2), (), None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "smollm2", tiny)  # type: ignore[arg-type]
        patch.setattr(Answering, "stream", stream_here)
        patch.setattr(Answering, "ask", lambda self, question, **about: None)
        patch.setattr(Answering, "stop", lambda self: STOPPED.set())
        patch.setattr("cdvft_app.results.inference.load_rows", lambda entry, **asked: rows)
        chosen = {"recipe": "addresses", "max_steps": 4, "batch_size": 8, "max_length": 128}
        runs = [RunSettings(method=one, own_prompt=OWN, **chosen) for one in ("cdvft", "lora")]
        yield ",".join(tiny_races.trained(server, rows, "Numbers", runs))


def write(page: Page) -> None:
    page.get_by_role("button", name="Write", exact=True).click()


@pytest.mark.slow
def test_models_write_side_by_side_are_read_on_a_phone_refuse_and_stop(
    visit: Visit, race: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = visit(f"?tab=use&run={race}", ready="#use-prompt textarea")
    expect(page.locator("#use-prompt textarea")).to_have_value(OWN)
    the_untrained_model_and_each_method_write_side_by_side(page)
    the_columns_read_well_in_either_colour_and_on_a_phone(page)
    page.locator("#use-prompt textarea").fill("  ")
    write(page)
    expect(page.locator("#use-written [role=alert]")).to_contain_text("There is nothing to answer")
    page.locator("#use-prompt textarea").fill(OWN)
    with monkeypatch.context() as patch:
        patch.setattr("cdvft_app.results.inference.UPDATE_SECONDS", 0.0)
        stop_ends_the_writing_and_keeps_what_is_there(page)
    what_fails_is_said_and_may_be_pressed_again(page, monkeypatch)


def the_untrained_model_and_each_method_write_side_by_side(page: Page) -> None:
    expect(page.locator("#use-texts")).to_be_hidden()
    write(page)
    expect(page.locator("#use-written [data-ended]")).to_have_count(1)
    columns = page.locator(".written-columns section")
    assert [re.sub(r"\s+", " ", title) for title in columns.locator("h3").all_inner_texts()] == [
        "Base given the same prompt",
        "Base with 1 example in its prompt",
        "CDVFT",
        "LoRA r = 8",
    ]
    for column in columns.all():
        expect(column.locator(".pace")).to_have_text(re.compile(r"^\d+ tokens?, [\d.]+ a second$"))
        expect(column.locator(".token").first).to_have_attribute("title", re.compile(r"^[\d.]+ %$"))


def the_columns_read_well_in_either_colour_and_on_a_phone(page: Page) -> None:
    page.get_by_role("button", name="Temperature, length, seed").click()
    scores = page.locator("#use-scores")
    expect(scores.locator("tbody").first.locator("tr")).to_have_text(
        [re.compile("^CDVFT"), re.compile("^LoRA")]
    )
    expect(scores.locator("tbody").first).to_contain_text(re.compile(r"\d of 8 \("))
    page.set_viewport_size(PHONE)
    assert not axe_violations(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def stop_ends_the_writing_and_keeps_what_is_there(page: Page) -> None:
    HOLDS.set()
    try:
        write(page)
        stop = page.locator("#use-stop")
        expect(stop).to_be_enabled()
        stop.click()
        expect(page.locator("#use-written [role=status]")).to_have_text("Stopped.")
    finally:
        HOLDS.clear()
    expect(stop).to_be_disabled()
    expect(page.locator(".written-columns .token").first).to_be_visible()


def what_fails_is_said_and_may_be_pressed_again(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Answering, question: str, **about: object) -> Iterator[object]:
        yield from ()
        raise RuntimeError("Nobody thought of this.")

    with monkeypatch.context() as patch:
        patch.setattr(Answering, "stream", broken)
        write(page)
        alert = page.locator("#use-written [role=alert]")
        expect(alert).to_have_text("This failed; press Write to try again.")
    expect(page.locator("#use-stop")).to_be_disabled()
    write(page)
    expect(page.locator("#use-written [data-ended]")).to_have_count(1)


def test_answers_are_followed_while_a_race_trains_and_a_prompt_of_one_s_own_is_asked_for(
    visit: Visit, race: str
) -> None:
    page = visit(f"?run={race}")
    own = page.get_by_label("A prompt of your own")
    expect(own).to_be_hidden()
    page.locator("label.recipe", has_text="Read addresses").click()
    expect(own).to_be_visible()  # for models that write
    the_answers_follow_slider_cursor_and_play(page)
    page.set_viewport_size(PHONE)
    expect(page.locator(".answer-strip .token").first).to_be_visible()
    assert not axe_violations(page, ".answers-while-training")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    another_race_begins_at_its_newest_answers(page, race.split(",", maxsplit=1)[0])


def the_answers_follow_slider_cursor_and_play(page: Page) -> None:
    strip = page.locator(".answers-while-training")
    said, slider = strip.locator("output"), strip.get_by_role("slider")
    expect(strip.locator("tbody tr")).to_have_count(5)
    expect(strip.locator("thead th")).to_have_text(["Prompt", "Right", "CDVFT", "LoRA r\u00a0=\u00a08"])
    expect(strip.locator("tbody tr").last.locator("th")).to_have_text(OWN)
    expect(strip.locator("tbody tr").last.locator("td").first).to_have_text("your own")
    expect(strip.locator(".token").first).to_have_attribute("title", re.compile("%$"))
    expect(said).to_have_text("After step 4")
    slider.focus()
    page.keyboard.press("Home")
    expect(said).to_have_text("Before training")
    curves = page.locator("#run .chart .nsewdrag")
    curves.hover(position=spot(curves, 0.99))
    expect(said).not_to_have_text("Before training")
    said.hover()
    expect(said).to_have_text("Before training")
    page.evaluate(
        """() => {
          const { setInterval } = window;
          window.setInterval = (tick) => { window.tick = tick; window.setInterval = setInterval; return 0; };
        }"""
    )
    strip.get_by_role("button", name="Play").click()
    expect(strip.get_by_role("button", name="Pause")).to_be_visible()
    expect(said).to_have_text("Before training")
    page.wait_for_function(
        "(said) => { window.tick(); return said.textContent === 'After step 4'; }", arg=said.element_handle()
    )
    expect(strip.get_by_role("button", name="Play")).to_be_visible()


def another_race_begins_at_its_newest_answers(page: Page, run: str) -> None:
    said, slider = page.locator(".answers-while-training output"), page.get_by_role("slider", name="Snapshot")
    mark = page.locator("#run .chart .shapelayer path")
    expect(said).to_have_text("After step 4")
    slider.focus()
    page.keyboard.press("Home")
    expect(said).to_have_text("Before training")
    expect(mark).to_have_count(1)
    page.evaluate("(run) => document.dispatchEvent(new CustomEvent('show-runs', { detail: [run] }))", run)
    expect(page.locator("#run .scoreboard tbody tr")).to_have_count(1)
    expect(said).to_have_text("After step 4")
    expect(mark).to_have_count(0)
