"""Steps measured from the Compare tab: kept, matched, cancelled, one at a time."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from comparing import answer, choose, compare, unfold
from playwright.sync_api import Page, Route, expect
from studio import Visit, downloaded
from waiting import wait_for

from cdvft_app.ui.compare import measure

sys.path.insert(0, str(Path(__file__).parents[1] / "cdvft_app" / "measuring"))  # where `fake_measures` is


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """A model by its configuration alone. Its step takes milliseconds, and was never measured."""
    config = {"model_type": "bert", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
              "num_attention_heads": 4, "vocab_size": 100, "max_position_embeddings": 64}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    return str(tmp_path)


@pytest.fixture
def go_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Set, it lets a measurement end, which waits once it has told how long LoRA's still takes."""
    go, measuring = threading.Event(), measure.measuring

    def waiting(*asked: Any) -> Iterator[dict[str, Any]]:
        method = None
        with closing(measuring(*asked)) as messages:
            for message in messages:
                method = message.get("method", method)
                yield message
                if (message["kind"], method) == ("pace", "lora"):
                    go.wait()

    monkeypatch.setattr(measure, "measuring", waiting)
    yield go
    go.set()


@pytest.fixture
def never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A measurement's process begins and then waits until it is ended."""
    monkeypatch.setattr(measure, "measuring", partial(measure.measuring, measure="fake_measures:never_ends"))


def measure_of(page: Page, model: str) -> None:
    unfold(page)
    for method in ("FourierFT", "C3A"):
        page.locator("#cost-methods").get_by_role("checkbox", name=method).uncheck()
    page.locator("#cost-batch input").fill("2")
    page.locator("#cost-sequence input").fill("8")
    page.locator("#cost-model input").fill(model)
    page.keyboard.press("Enter")
    expect(page.locator("#costs h2")).to_have_text(model)


def test_steps_are_measured_kept_saved_and_matched(visit: Visit, tiny: str, go_on: threading.Event) -> None:
    page = compare(visit)
    measure_of(page, tiny)
    said = page.locator("#measure [role=status]")
    age = page.locator("#costs p.age")
    page.locator("#costs summary", has_text="What is assumed").click()
    expect(age).to_contain_text("not measured on this machine yet")
    page.get_by_role("button", name="Measure on this machine").click()
    expect(page.get_by_role("button", name="Measure on this machine")).to_be_disabled()
    expect(said).to_contain_text(re.compile(r"Measuring LoRA.*, 2 of 2, about \d+ s left"))
    go_on.set()
    expect(said).to_contain_text(re.compile(r"Done: 2 step times on \w+"))
    seconds = answer(page, "seconds")
    expect(seconds).to_have_text([re.compile(r"\d\sm?s$")] * 2)
    expect(age).to_contain_text("measured just now on")
    expect(page.locator("#costs .answer")).to_contain_text(re.compile(r"and its step takes [\d.]+\sm?s here"))
    page.locator("#costs summary", has_text="In bars").click()
    page.locator("#costs .segmented label", has_text="Step time").click()
    expect(page.locator("#costs .part-of .seen")).to_contain_text("a step with CDVFT m\u00a0=\u00a02 takes")
    expect(page.locator("#costs .part-of .chart").first).to_contain_text("Frozen model")
    page.locator("#costs summary", has_text="Save").click()
    table = downloaded(page.get_by_role("button", name="Save costs as CSV"))
    header, *rows = table.read_text().splitlines()
    assert "measured_seconds" in header and "measured_device" in header and len(rows) == 2

    again = compare(visit)  # somebody else, later
    measure_of(again, tiny)
    expect(answer(again, "seconds")).to_have_text(seconds.all_inner_texts())
    go_on.clear()
    lora_is_given_the_rank_whose_step_takes_as_long(again, go_on)


def lora_is_given_the_rank_whose_step_takes_as_long(page: Page, go_on: threading.Event) -> None:
    page.locator("#cost-sequence input").fill("16")  # which was not measured yet
    choose(page, "cost-match", "equal seconds")
    expect(page.locator("#costs")).to_contain_text("Press Measure: times cannot be computed")
    page.get_by_role("button", name="Measure on this machine").click()
    said = page.locator("#measure [role=status]")
    expect(said).to_contain_text(re.compile(r"Measuring LoRA r.*at most about \d+ s left"))
    go_on.set()
    expect(said).to_contain_text(re.compile(r"Done: \d step times on \w+"))
    expect(page.locator("#costs .answers thead")).to_contain_text(re.compile(r"LoRA r\u00a0=\u00a0\d+"))
    expect(answer(page, "seconds").nth(1)).to_have_text(re.compile(r"\d\sm?s$"))
    page.locator("#costs summary", has_text="Why").click()
    first = page.locator("#costs .seen p").first
    expect(first).to_contain_text(
        re.compile(r"LoRA r\u00a0=\u00a0\d+ (comes closest|takes).* times CDVFT's step")
    )


@pytest.mark.usefixtures("never_ends")
def test_only_who_measures_can_cancel_others_wait_and_what_fails_is_not_called_cancelled(
    visit: Visit, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs, before = compare(visit), compare(visit), computing()
    for page in (mine, theirs):
        measure_of(page, tiny)
    mine.get_by_role("button", name="Measure on this machine").click()
    expect(mine.locator("#measure [role=status]")).to_contain_text("Measuring CDVFT")
    theirs.get_by_role("button", name="Measure on this machine").click()
    expect(theirs.locator("#measure [role=status]")).to_contain_text("You are next")
    theirs.get_by_role("button", name="Cancel").click()
    expect(theirs.locator("#measure [role=status]")).to_contain_text("Cancelled")
    expect(mine.get_by_role("button", name="Cancel")).to_be_enabled()  # mine goes on
    wait_for(lambda: len(computing() - before) == 1)
    mine.get_by_role("button", name="Cancel").click()
    expect(mine.locator("#measure [role=status]")).to_contain_text("Cancelled")
    wait_for(lambda: computing() <= before)
    theirs.get_by_role("button", name="Measure on this machine").click()
    expect(theirs.locator("#measure [role=status]")).to_contain_text("Measuring CDVFT")
    wait_for(lambda: len(computing() - before) == 1)
    theirs.close()
    wait_for(lambda: computing() <= before)
    it_can_be_asked_for_again_only_once_the_server_has_heard_of_the_cancel(mine)
    wait_for(lambda: computing() <= before)
    what_fails_is_not_called_cancelled(mine, monkeypatch)


def what_fails_is_not_called_cancelled(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("Nobody thought of this.")

    monkeypatch.setattr(measure, "measuring", broken)
    page.get_by_role("button", name="Measure on this machine").click()
    expect(page.locator("#measure [role=status]")).to_contain_text("The measurement failed.")
    expect(page.get_by_role("button", name="Measure on this machine")).to_be_enabled()


def it_can_be_asked_for_again_only_once_the_server_has_heard_of_the_cancel(page: Page) -> None:
    again = page.get_by_role("button", name="Measure on this machine")
    disabled_before: list[bool] = []

    def tell(route: Route) -> None:
        disabled_before.append(again.is_disabled())
        route.continue_()

    again.click()
    expect(page.locator("#measure [role=status]")).to_contain_text("Measuring CDVFT")
    page.route("**/run/**", tell)
    page.get_by_role("button", name="Cancel").click()
    again.click()
    expect(page.locator("#measure [role=status]")).to_contain_text("Measuring CDVFT")
    assert disabled_before == [True]
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#measure [role=status]")).to_contain_text("Cancelled")  # meanwhile `tell` is called


def computing() -> set[int]:
    """What the fork server started, by way of which every process comes that computes."""
    us, found = psutil.Process(), set[int]()
    for one in us.children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            found |= {one.pid} if one.parent() != us and one.exe() == us.exe() else set()
    return found
