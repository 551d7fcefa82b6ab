"""Data of one's own: from a file to a race that runs, as a visitor does it."""

from __future__ import annotations

import re
from pathlib import Path

import made
from playwright.sync_api import Page, expect
from studio import Hold, Visit, axe_violations, fill_in, judged, start_race, status
from uploaded_data import give, learns, mine, more

PHONE = {"width": 390, "height": 844}


def test_on_a_phone_every_fault_is_named_and_prompts_with_answers_are_mapped(
    visit: Visit, tmp_path: Path
) -> None:
    page = visit(viewport=PHONE, color_scheme="dark")
    every_fault_is_named_by_file_row_and_column(page, tmp_path)
    start_race(page, steps=5)
    expect(status(page)).to_have_text("All 4 finished")
    judged(page)
    page.get_by_role("button", name=re.compile("^Settings")).click()  # folded while a race is shown
    prompts_with_answers_are_mapped_by_a_click(page, tmp_path)
    a_model_is_found_by_its_name(page)


def every_fault_is_named_by_file_row_and_column(page: Page, tmp_path: Path) -> None:
    book = made.zipped(tmp_path, {"xl/workbook.xml": ""}, "book.xlsx")
    page.locator("#own-file input[type=file]").set_input_files(book)
    expect(page.locator("#own-said")).to_contain_text("“book.xlsx” cannot be read as a spreadsheet")
    expect(page.locator("#own-said .problem")).to_be_in_viewport()
    expect(page.locator("#own-file")).not_to_contain_text("book.xlsx")  # it is not in the way of another
    said = give(page, made.faulty_csv(tmp_path / "faulty.csv", made.reviews(500)))
    expect(page.locator("#own-found h2")).to_be_in_viewport()
    assert "Windows-1252 (Western), separated by semicolon" in said
    for fault in (
        "“faulty”, row 2: it has more values than the head has columns",
        "“faulty”, row 6, column “verdict”: it is empty",
        "1 input comes with different labels",
    ):
        assert fault in said
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert not axe_violations(page, "#train")
    learns(page, "faulty")


def prompts_with_answers_are_mapped_by_a_click(page: Page, tmp_path: Path) -> None:
    found = page.locator("#own-found")
    assert "Prompts with answers" in give(page, made.answers_jsonl(tmp_path / "made_of.jsonl"))
    page.get_by_text("A class or an amount", exact=True).click()
    expect(found).to_contain_text("Texts into 4 classes")
    page.get_by_text("An answer in words", exact=True).click()
    expect(found).to_contain_text("Prompts with answers that are written.")
    expect(found).to_contain_text("right is what is written exactly so (exact match)")
    more(page)
    seed = page.locator("#own-seed").get_by_role("textbox")
    fill_in(seed, "3")
    seed.press("Tab")
    expect(found).to_contain_text("held out, 20 % by seed 3")
    assert not axe_violations(page, "#own-shown")
    expect(found).to_contain_text("48 rows to learn from")
    learns(page, "made_of")
    expect(page.get_by_role("checkbox", name="Head only")).not_to_be_checked()


def a_model_is_found_by_its_name(page: Page) -> None:
    page.get_by_role("button", name="Model and data").click()
    page.locator("#find-model").get_by_role("textbox").fill("llama")
    page.keyboard.press("Enter")
    first = page.locator("#found-models").get_by_role("radio").first
    first.focus()
    page.keyboard.press("Space")
    expect(page.locator("#set-model input")).to_have_value(re.compile("Llama"))
    expect(page.locator("#model-said")).to_contain_text("million parameters")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert not axe_violations(page, "#choose")


def test_a_zip_of_pictures_is_raced_stopped_resumed_and_deleted(
    visit: Visit, tmp_path: Path, hold: Hold
) -> None:
    hold(3)
    page = visit()
    assert "49 rows to learn from, 11 to evaluate on" in give(page, made.digits_zip(tmp_path / "digits.zip"))
    shown = page.locator("#own-found figcaption")
    expect(shown).to_have_count(12)
    assert len({*shown.all_inner_texts()}) == 10  # of every class some
    assert not axe_violations(page, "#own-shown")
    learns(page, "digits")
    start_race(page, steps=6)
    expect(status(page)).to_contain_text("CDVFT running · step 3 of 6")
    page.locator("#stop").click()
    expect(status(page)).to_have_text("All 4 stopped")

    hold(None)
    page.locator("#resume").click()
    expect(status(page)).to_have_text("All 4 finished")
    more(page)
    page.locator("#own-delete").click()
    lost = page.locator("#own-sure")
    expect(lost).to_contain_text("can then not be resumed, nor show examples: digits, Head only;")
    page.locator("#own-really").click()
    expect(page.locator("#own-shown")).to_be_hidden()
    assert mine(page) == []
    expect(page.locator("#counts")).to_contain_text("“digits” has been deleted here")
