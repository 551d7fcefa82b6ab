"""A button beside each finding mends the rows, by steps that can be undone and that the run keeps."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import made
from playwright.sync_api import Page, expect
from studio import Server, Visit, axe_violations, start_race
from uploaded_data import give


def test_prices_are_read_and_a_finding_is_mended_by_steps_that_can_be_undone_and_that_the_race_keeps(
    visit: Visit, server: Server, tmp_path: Path
):
    page = visit()
    prices_are_read_unasked_and_in_doubt_after_a_question(page, tmp_path)
    rows = made.sentences(80)
    dirty = [(text, "Good" if place % 8 == 0 else label) for place, (text, label) in enumerate(rows)]
    give(page, made.clean_csv(tmp_path / "tickets.csv", dirty))
    found = page.locator("#own-found")
    expect(found).to_contain_text("into 3 classes")
    found.get_by_role("button", name="Make labels one that differ").click()
    expect(found).to_contain_text("into 2 classes")
    expect(found).to_contain_text("merge-case: 3 different labels became 2, 10 values changed.")
    expect(found).to_contain_text("The rows to evaluate on are drawn from the mended ones.")
    assert not axe_violations(page, "#own-found")
    steps, step = (found.locator(one).bounding_box() for one in (".own-steps", ".own-steps li"))
    assert (
        steps and step and step["x"] - steps["x"] >= 16
    )  # its number stands within the page, on a phone, too
    found.get_by_role("button", name="Undo merge-case").click()
    expect(found).to_contain_text("into 3 classes")
    another_step_is_typed_and_a_wrong_one_is_said(page)
    found.get_by_role("button", name="Undo rename").click()
    expect(found).to_contain_text("into 3 classes")
    a_race_keeps_the_steps_and_columns_leave_them(page, server)


def another_step_is_typed_and_a_wrong_one_is_said(page: Page):
    found = page.locator("#own-found")
    found.get_by_text("Mend it").click()
    expect(found.get_by_label("Another step")).to_have_css("border-top-width", "1px")  # it is seen as a field
    found.get_by_label("Another step").fill("rename:Good=good")
    found.get_by_role("button", name="Do it").click()
    expect(found).to_contain_text("into 2 classes")
    found.get_by_label("Another step").fill("polish")
    found.get_by_role("button", name="Do it").click()
    expect(page.locator("#own-said")).to_contain_text("There is no step “polish”")


def a_race_keeps_the_steps_and_columns_leave_them(page: Page, server: Server):
    found = page.locator("#own-found")
    found.get_by_role("button", name="Make labels one that differ").click()
    expect(found).to_contain_text("into 2 classes")
    start_race(page, steps=2)
    expect(page.locator("#run h2")).to_have_text("tickets")
    (latest,) = {run.settings.data.clean for run in server.store.groups(1)[0]}
    assert latest == ("merge-case",)
    page.get_by_text("Train it again").click()
    again = re.compile("--data [0-9a-f]{12}.*--clean merge-case")
    expect(page.locator(".reproduce pre").first).to_contain_text(again)


def priced(path: Path, price: Callable[[int], str]) -> Path:
    """60 flats with a column of prices."""
    rows = "".join(f"{place} rooms in town;{price(100 + place)}\n" for place in range(60))
    path.write_text(f"text;price\n{rows}", encoding="utf-8")
    return path


def prices_are_read_unasked_and_in_doubt_after_a_question(page: Page, tmp_path: Path):
    found = page.locator("#own-found")
    give(page, priced(tmp_path / "flats.csv", lambda number: f"1.{number},50 €"))
    expect(found).to_contain_text("An amount.")
    expect(found).to_contain_text("such as 1.159,50 €: they are read as numbers")
    expect(found).to_contain_text("numbers:comma: 60 values changed.")
    expect(found.get_by_role("button", name="Undo")).to_have_count(0)

    doubt = priced(tmp_path / "doubt.csv", lambda number: f"1,{number}")
    page.locator("#own-file input[type=file]").set_input_files(doubt)
    expect(found).to_contain_text("the comma may stand before decimals or between thousands")
    found.get_by_role("button", name="Read as numbers. Decimal mark: point").click()
    expect(found).to_contain_text("An amount.")
    found.get_by_role("button", name="Undo numbers:point").click()
    expect(found).to_contain_text("the comma may stand")
    assert not axe_violations(page, "#own-found")
