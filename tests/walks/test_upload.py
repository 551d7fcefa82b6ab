"""Train on your data: uploaded, cleaned, mapped, raced, and deleted."""

from __future__ import annotations

from pathlib import Path

import made
from playwright.sync_api import expect

from walks.pages import Train, Visit
from walks.studio import Studio
from walks.visitors import PHONE


def tickets(folder: Path) -> Path:
    """80 rows of two classes, some labels of which differ in capitals."""
    rows = made.sentences(80)
    dirty = [(text, "Good" if place % 8 == 0 else label) for place, (text, label) in enumerate(rows)]
    return made.clean_csv(folder / "tickets.csv", dirty)


def test_uploaded_data_is_cleaned_and_the_run_keeps_it(visit: Visit, studio: Studio, tmp_path: Path) -> None:
    train = visit(Train)
    found = train.uploaded(tickets(tmp_path))
    classes = found.locator(".own-bars", has_text="Good").locator("li")
    expect(classes).to_have_count(3)
    fix = found.locator(".own-findings button").first
    fix.click()
    expect(classes).to_have_count(2)
    found.get_by_role("button", name="Undo merge-case").click()
    expect(classes).to_have_count(3)
    fix.click()
    expect(classes).to_have_count(2)
    (run, *_) = train.start()
    train.until("finished", 4)
    record = studio.store.get(run)
    assert record and record.settings.data and record.settings.data.clean == ("merge-case",)
    train.reload()
    train.learns("tickets")
    train.recipe("sentiment").check()
    expect(found).to_be_hidden()


def test_unreadable_file_is_refused_until_another_comes(visit: Visit, tmp_path: Path) -> None:
    train = visit(Train, viewport=PHONE)
    train.upload(made.zipped(tmp_path, {"xl/workbook.xml": ""}, "book.xlsx"))
    refusal = train.find("#own-said .problem")
    expect(refusal).to_contain_text("book.xlsx")
    expect(refusal).to_be_in_viewport()
    found = train.uploaded(made.faulty_csv(tmp_path / "faulty.csv", made.reviews(500)))
    expect(refusal).to_have_count(0)
    expect(found).to_contain_text("verdict")
    train.fits()


def test_columns_are_assigned_and_data_is_deleted(visit: Visit, tmp_path: Path) -> None:
    lines = [
        f"mail {n} on {n % 5},{'Bill' if n % 2 else 'Ad'},{'high' if n % 3 else 'low'}" for n in range(80)
    ]
    train = visit(Train)
    found = train.uploaded(made.written(tmp_path, "\n".join(["body,kind,priority", *lines]), "mail.csv"))
    body, kind, priority = (
        found.locator(".column-head", has_text=name).locator("select")
        for name in ("body", "kind", "priority")
    )
    expect(kind).to_have_value("label")
    priority.select_option("label")
    expect(kind).to_have_value("")
    body.select_option("label")
    expect(found.locator("[role=alert]")).to_be_visible()
    expect(train.start_button).to_be_disabled()
    body.select_option("input")
    kind.select_option("label")
    train.learns("mail")
    train.unfold("#own-shown")
    train.find("#own-delete").click()
    train.find("#own-really").click()
    expect(train.find("#own-shown")).to_be_hidden()
    expect(train.find("#own-mine")).to_be_hidden()
    expect(train.problem).to_contain_text("mail")
    expect(train.start_button).to_be_disabled()


def test_images_in_a_zip_are_raced(visit: Visit, tmp_path: Path) -> None:
    train = visit(Train)
    found = train.uploaded(made.digits_zip(tmp_path / "digits.zip"))
    expect(found.locator("figure")).to_have_count(12)
    train.start()
    train.until("finished", 4)
