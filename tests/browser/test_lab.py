"""The lab: a fit to see at once, every kind of target, Stop, and a sentence for what cannot be fitted."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect
from studio import Visit, axe_violations, shortcuts_taken, two_frames
from visitors import MOVING, SIZE
from waiting import wait_for

from cdvft_app.inspection.sources import Source
from cdvft_app.lessons.families import FAMILIES
from cdvft_app.lessons.fitting import fitted_on_one_thread
from cdvft_app.methods import METHODS
from cdvft_app.ui.learn import lab as laboratory

STATUS, VERDICT = "#lab-view .status", "#lab-view .verdict"
DONE = re.compile("^Done in")
CLEAR = re.compile("clear|remove", re.I)
SHOWN = {"What a run changed": "#lab-run", "A drawing of mine": "#lab-pad", "A file of mine": "#lab-file"}


def opened(visit: Visit, target: str | None = None, **options: object) -> Page:
    page = visit("?tab=learn&lesson=lab", ready=f"{STATUS}:not(:empty)", **options)
    if target:
        choose(page, "Target", target)
    return page


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option).click()


def fit(page: Page, status: str | re.Pattern[str]) -> None:
    page.locator("#lab-fit").click()
    expect(page.locator(STATUS)).to_contain_text(status)


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch: pytest.MonkeyPatch, patience: float) -> None:
    """A fit may take as much more than its minute as the machine is busier: what it says is of all sizes."""
    stream = laboratory.children.stream

    def patiently(work: Any, *given: Any) -> Iterator[Any]:
        return stream(work, *given, patience / 1000) if work is fitted_on_one_thread else stream(work, *given)

    monkeypatch.setattr(laboratory.children, "stream", patiently)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The fits that this test had computed, each "begun" until it is "ended".

    One of 256 numbers stands still once it has said "Fitting m = ", and a stop or the test's end ends it.
    """
    found: list[str] = []
    over = threading.Event()
    stream = laboratory.children.stream

    def noted(*given: Any) -> Iterator[Any]:
        place = len(found)
        found.append("begun")
        try:
            with closing(stream(*given)) as states:
                for state in states:
                    yield state
                    if len(given[1]) == 256 and "Fitting m = " in str(state):
                        states.close()  # its process would go on computing
                        while not over.wait(0.2):
                            yield state
                        raise laboratory.children.ChildEnded("The test is over.")  # so that nothing is kept
        finally:
            found[place] = "ended"

    monkeypatch.setattr(laboratory.children, "stream", noted)
    yield found
    over.set()


def test_a_recorded_fit_is_there_at_once_a_new_one_says_who_wins_and_what_a_run_changed_is_fitted(
    visit: Visit, runs: dict[str, Source]
) -> None:
    page = opened(visit, **MOVING)
    expect(page.locator(STATUS)).to_contain_text(re.compile(r"^Recorded \d{4}-\d\d-\d\d on .*smooth kernel"))
    expect(page.locator("#lab-view .residuals figure:visible")).to_have_count(7)
    a_method_has_the_line_that_it_has_elsewhere(page)
    choose(page, "Size n", "16")
    fit(page, DONE)
    expect(page.locator(VERDICT)).to_contain_text("With at most 80 numbers, ")
    expect(page.locator("#lab-view .residuals figure:visible")).to_have_count(7)
    page.locator("#lab-view summary").click()
    expect(page.locator("#lab-view table.numbers tbody tr").first).to_be_visible()
    page.get_by_role("button", name="Switch to dark colours").click()  # drawings outside the page, too
    expect(page.get_by_role("button", name="Switch to light colours")).to_be_visible()

    choose(page, "Size n", "32")
    choose(page, "Target", "What a run changed")
    expect(page.locator("#lab-layer input")).not_to_have_value("")
    choose(page, "Finished run", "LoRA r = 8 · recorded")
    expect(page.locator("#lab-layer input")).to_have_value(re.compile("^layer 0 · query, 384 × 384"))
    fit(page, DONE)
    expect(page.locator(VERDICT)).to_contain_text(
        "rows and columns 1 to 32 of the 384 × 384 change that LoRA r = 8 made to layer 0 · query"
    )


def a_method_has_the_line_that_it_has_elsewhere(page: Page) -> None:
    for family, method in (("low_rank", "lora"), ("fourierft", "fourierft"), ("block_circulant", "c3a")):
        key = page.locator("#lab-view .legend li", has_text=FAMILIES[family])
        dash = re.sub(r"px,?", " ", METHODS[method].dash).strip()
        expect(key.locator("line")).to_have_attribute("stroke-dasharray", dash)


ANOTHER_SIZE = iter(("16", "32"))  # whose answer is kept, so that a second try takes the next


def test_the_same_fit_is_shared_another_waits_for_its_turn_and_stop_ends_what_nobody_else_asked_for(
    visit: Visit, fits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, other = (opened(visit, "Random") for _ in range(3))
    expect(first.locator("#lab-stop")).to_be_disabled()
    expect(first.get_by_text(laboratory.IDLE)).to_be_visible()
    for page in (first, second):
        choose(page, "Size n", "256")
        fit(page, "Fitting m = ")
    choose(other, "Size n", next(ANOTHER_SIZE))
    fit(other, "Waiting for its turn · 1 other in line")
    assert fits == ["begun"]
    first.locator("#lab-stop").click()
    expect(first.locator(STATUS)).to_have_text("Stopped; what was found is shown")
    expect(second.locator(STATUS)).to_contain_text("Fitting m = ")
    assert fits == ["begun"]
    second.locator("#lab-stop").click()
    expect(other.locator(STATUS)).to_contain_text(DONE)
    stop_ends_a_fit_and_the_next_may_begin(first, fits)
    so_it_may_after_one_that_failed(first, monkeypatch)


def so_it_may_after_one_that_failed(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("Nobody thought of this.")

    with monkeypatch.context() as patch:
        patch.setattr(laboratory, "make", broken)
        fit(page, "The fit failed; press Fit to try again")
    fit(page, DONE)


def stop_ends_a_fit_and_the_next_may_begin(page: Page, fits: list[str]) -> None:
    reason = page.get_by_text(laboratory.IDLE)
    expect(page.locator("#lab-stop")).to_be_disabled()
    expect(reason).to_be_visible()
    no_other_fit_begins_before_the_server_has_answered_to_the_stop(page)
    for _ in range(2):  # it can be pressed again right after that
        fit(page, "Fitting m = ")
        expect(reason).to_be_hidden()
        page.locator("#lab-stop").click()
    expect(page.locator("#lab-stop")).to_be_disabled()
    expect(page.locator("#lab-fit")).to_be_enabled()
    expect(page.locator(STATUS)).to_have_text("Stopped; what was found is shown")
    wait_for(lambda: {*fits} == {"ended"})  # it has noticed it, and gives no answer any more
    two_frames(page)
    expect(page.locator(STATUS)).to_have_text("Stopped; what was found is shown")
    choose(page, "Target", "Diagonal times circulant")
    choose(page, "Size n", "16")
    fit(page, DONE)


def no_other_fit_begins_before_the_server_has_answered_to_the_stop(page: Page) -> None:
    before: list[tuple[str, bool]] = []

    def answer(route: Route) -> None:
        two_frames(page)
        before.append((page.locator(STATUS).inner_text(), page.locator("#lab-fit").is_disabled()))
        route.continue_()

    fit(page, "Fitting m = ")
    page.route("**/run/**", answer)
    page.locator("#lab-stop").click()
    expect(page.locator(STATUS)).to_have_text("Stopped; what was found is shown")
    assert before == [("Stopping …", True)]
    page.unroute("**/run/**")


def test_targets_break_no_rule_of_axe_and_a_file_or_a_drawing_of_ones_own_is_fitted_or_refused(
    visit: Visit, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "own.npy", rng.normal(size=(8, 8)))
    np.save(tmp_path / "wide.npy", rng.normal(size=(4, 5)))
    Image.fromarray(rng.integers(0, 256, (20, 30)).astype(np.uint8)).save(tmp_path / "own.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    page = opened(visit)
    no_target_breaks_a_rule_of_axe_and_all_fit_a_phone(page)  # the last one is a file
    page.set_viewport_size(SIZE)
    choose(page, "Size n", "16")
    given = page.locator("#lab-file")
    for name, status, said in (
        ("own.npy", DONE, "This was your own file."),
        ("wide.npy", "Not fitted", "has shape (4, 5); a square matrix is needed"),
        ("own.png", DONE, "This was your own file."),
        ("broken.png", "Not fitted", "neither a .npy array nor a PNG or JPEG picture"),
    ):
        given.locator("input[type=file]").set_input_files(tmp_path / name)
        expect(given).to_contain_text(name.partition(".")[0])
        fit(page, status)
        expect(page.locator(VERDICT)).to_contain_text(said)
        given.get_by_role("button", name=CLEAR).first.click()
    a_size_that_is_not_used_cannot_be_chosen_and_says_why(page, tmp_path)
    a_drawing_by_keys_and_by_mouse_is_fitted(page)


def no_target_breaks_a_rule_of_axe_and_all_fit_a_phone(page: Page) -> None:
    assert not axe_violations(page)
    for target, fields in SHOWN.items():
        choose(page, "Target", target)
        expect(page.locator(fields)).to_be_visible()
        assert not axe_violations(page, f"#lab-target, #lab-size, #lab-layer, {fields}"), target
    page.set_viewport_size({"width": 390, "height": 844})
    for target, fields in SHOWN.items():
        choose(page, "Target", target)
        expect(page.locator(fields)).to_be_visible()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390, target


def a_size_that_is_not_used_cannot_be_chosen_and_says_why(page: Page, files: Path) -> None:
    size, upload = page.get_by_role("combobox", name="Size n"), page.locator("#lab-file input[type=file]")
    expect(size).to_be_enabled()
    upload.set_input_files(files / "own.npy")
    expect(page.locator("#lab-size")).to_contain_text("Size n (not for .npy)")
    expect(size).to_be_disabled()
    choose(page, "Target", "Random")
    expect(size).to_be_enabled()
    choose(page, "Target", "A file of mine")
    expect(size).to_be_disabled()
    page.locator("#lab-file").get_by_role("button", name=CLEAR).first.click()
    expect(size).to_be_enabled()
    upload.set_input_files(files / "own.png")
    expect(page.locator("#lab-file")).to_contain_text("own")
    expect(size).to_be_enabled()
    expect(page.locator("#lab-size")).not_to_contain_text("not for")
    choose(page, "Target", "A drawing of mine")
    expect(size).to_be_disabled()
    expect(page.locator("#lab-size")).to_contain_text("Size n of drawings")


def a_drawing_by_keys_and_by_mouse_is_fitted(page: Page) -> None:
    fit(page, "Not fitted")
    expect(page.locator(VERDICT)).to_contain_text("Nothing is drawn yet")
    pad, said = page.locator(".pad"), page.locator(".pad-tools [role=status]")
    assert not shortcuts_taken(page.locator(".pad-place"))  # zoom and Back are the browser's
    pad.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    expect(said).to_have_text("9 of 4,096 entries are drawn.")
    pad.drag_to(pad, source_position={"x": 10, "y": 10}, target_position={"x": 100, "y": 10}, steps=5)
    expect(said).not_to_have_text("9 of 4,096 entries are drawn.")
    page.get_by_role("button", name="Clear").click()
    expect(said).to_have_text("Nothing is drawn.")
    page.get_by_role("button", name="Shifted band").click()
    fit(page, DONE)
    expect(page.locator(VERDICT)).to_contain_text(
        "circulant-diagonal factors come equally close, with no error"
    )
    expect(page.locator(VERDICT)).to_contain_text("This was your own drawing.")
