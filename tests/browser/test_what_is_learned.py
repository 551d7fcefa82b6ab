"""A race learns from a file of one's own or from an example: Start names it, and trains on nothing else."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import made
import pytest
from playwright.sync_api import Page, expect
from studio import Visit, axe_violations, start_race, status
from uploaded_data import give, learns
from waiting import wait_for

from cdvft_app.ui.train import uploaded_panel

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1440, "height": 900}
SENTIMENT, ADDRESSES = "Sentiment of film reviews", "Read addresses (a language model)"


def csv(folder: Path, name: str = "tickets") -> Path:
    return made.clean_csv(folder / f"{name}.csv", made.sentences(60))


def chosen_card(page: Page) -> str:
    return page.locator("#recipes label:has(input:checked)").inner_text()


@pytest.fixture
def slow_reading(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Files called “slow” are read once the event is set."""
    go, give_at_once = threading.Event(), uploaded_panel.library.give

    def slowly(store: object, path: Path, *rest: object, **named: object) -> object:
        if path.stem.startswith("slow"):
            wait_for(go.is_set)
        return give_at_once(store, path, *rest, **named)

    monkeypatch.setattr(uploaded_panel.library, "give", slowly)
    yield go
    go.set()


def test_a_file_is_in_sight_at_once_and_start_names_it_and_trains_on_it(visit: Visit, tmp_path: Path) -> None:
    page = visit(viewport=PHONE)
    for size in (PHONE, DESK):
        page.set_viewport_size(size)
        a_file_and_the_examples_are_in_sight(page)
        assert not axe_violations(page, ".begin")
    expect(page.locator("#start")).to_have_text(f"Start on “{SENTIMENT}”")
    give(page, csv(tmp_path))
    learns(page, "tickets")
    assert chosen_card(page).startswith("tickets")
    assert page.get_by_role("button", name=re.compile("^(Learn from|Start)")).count() == 1
    start_race(page, steps=5)
    expect(page.locator("#run h2")).to_have_text("tickets")
    expect(status(page)).to_have_text("All 4 finished")

    page.reload()
    learns(page, "tickets")
    assert chosen_card(page).startswith("tickets")
    expect(page.locator("#own-found h2")).to_have_text("tickets")
    page.get_by_role("radio", name=SENTIMENT).check()
    expect(page.locator("#start")).to_have_text(f"Start on “{SENTIMENT}”")
    expect(page.locator("#own-found")).to_be_hidden()
    page.locator("#start").click()
    expect(page.locator("#run h2")).to_have_text(SENTIMENT)


def a_file_and_the_examples_are_in_sight(page: Page) -> None:
    for name in ("Drop your file", "Try an example"):
        expect(page.get_by_role("heading", name=name)).to_be_in_viewport(ratio=1)
    expect(page.locator("#own-file")).to_be_in_viewport(ratio=1)
    for card in page.locator("#recipes .pictured label:visible").all():
        expect(card).to_be_in_viewport(ratio=1)


def test_files_are_refused_given_roles_and_left_for_an_example(
    visit: Visit, tmp_path: Path, slow_reading: threading.Event
) -> None:
    page = visit(viewport=DESK)
    a_refusal_stays_while_another_file_is_read(page, tmp_path, slow_reading)
    give(page, csv(tmp_path))
    learns(page, "tickets")
    what_cannot_be_learned_is_not_replaced_by_an_example(page)
    a_method_that_does_not_fit_a_recipe_is_left_out_and_said(page)
    a_column_is_given_its_role_in_its_head_and_says_what_is_wrong_with_it(page, tmp_path)


def a_refusal_stays_while_another_file_is_read(
    page: Page, tmp_path: Path, slow_reading: threading.Event
) -> None:
    files = page.locator("#own-file input[type=file]")
    files.set_input_files(csv(tmp_path, "slow"))
    page.wait_for_function("() => window.filesGiven === 1")
    book = made.zipped(tmp_path, {"xl/workbook.xml": ""}, "book.xlsx")
    files.set_input_files(book)
    refusal = page.locator("#own-said .problem")
    expect(refusal).to_contain_text("“book.xlsx” cannot be read as a spreadsheet")
    slow_reading.set()
    page.locator("#own-mine").wait_for()
    expect(refusal).to_contain_text("“book.xlsx” cannot be read as a spreadsheet")
    give(page, csv(tmp_path, "next"))
    expect(refusal).to_have_count(0)
    learns(page, "next")


def what_cannot_be_learned_is_not_replaced_by_an_example(page: Page) -> None:
    page.get_by_label("What “review” is for").select_option("predicted")
    expect(page.locator("#own-found .problem")).to_contain_text("No column holds text to read")
    expect(page.locator("#start")).to_be_disabled()
    assert chosen_card(page).startswith("tickets")
    page.get_by_label("What “verdict” is for").select_option("predicted")
    learns(page, "tickets")


def a_method_that_does_not_fit_a_recipe_is_left_out_and_said(page: Page) -> None:
    expect(page.get_by_role("checkbox", name="Head only")).to_be_checked()
    page.get_by_role("radio", name=ADDRESSES).check()
    expect(page.locator("#start")).to_have_text(f"Start on “{ADDRESSES}”")
    expect(page.locator("#start")).to_be_enabled()
    expect(page.locator("#counts")).to_contain_text("Without Head only: SmolLM2")


def a_column_is_given_its_role_in_its_head_and_says_what_is_wrong_with_it(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "mail.csv"
    rows = [
        f"mail {n} about the {n % 5},{'Bill' if n % 2 else 'bill'},{'high' if n % 3 else 'low'}"
        for n in range(80)
    ]
    file.write_text("body,kind,priority\n" + "\n".join(rows))
    give(page, file)
    kind, priority = (page.get_by_label(f"What “{name}” is for") for name in ("kind", "priority"))
    expect(kind).to_have_value("label")
    label = page.locator("#own-found th, #own-found td").filter(has_text="differ in capitals only")
    expect(label).to_have_count(1)
    bars = page.get_by_role("list", name="Rows of each class")
    expect(bars.get_by_role("listitem")).to_have_text([re.compile("Bill"), re.compile("bill")])
    box, bar = page.locator("#own-found .table-scroll").bounding_box(), bars.bounding_box()
    assert box and bar and box["width"] > 1200
    priority.focus()
    page.keyboard.press("p")  # as one types into a list: "predicted"
    expect(priority).to_have_value("label")
    expect(kind).to_have_value("")
    expect(bars.get_by_role("listitem")).to_have_text([re.compile("high"), re.compile("low")])
    expect(priority).to_be_focused()
    learns(page, "mail")
    assert not axe_violations(page, "#own-shown")
