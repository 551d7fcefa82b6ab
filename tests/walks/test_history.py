"""History: races found again, compared, renamed, deleted, and saved."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from walks import runs
from walks.pages import Train, Visit, downloaded
from walks.studio import Studio


def test_races_are_overlaid_and_opened(visit: Visit, studio: Studio) -> None:
    shown, other = runs.build(studio, name="Shown"), runs.build(studio, name="Other")
    train = visit(Train, run=",".join(shown))
    train.select_race("Other")
    overlay = train.button("Overlay", "#history")
    overlay.focus()
    train.page.keyboard.press("Enter")
    expect(train.rows()).to_have_count(len(shown) + len(other))
    expect(train.races.filter(has_text="Other").locator("a[aria-current]").first).to_be_visible()
    train.button("Open", "#history").click()
    expect(train.rows()).to_have_count(len(other))
    expect(train.find("#run h2").first).to_have_text("Other")
    assert train.shown.split(",") == other


def test_owner_renames_and_deletes_a_race(visit: Visit, studio: Studio) -> None:
    runs.build(studio, name="Kept")
    train = visit(Train)
    ids = train.start()
    train.until("finished", 3)
    train.judged()
    train.races.first.locator("input").check()
    train.button("Rename", "#history").click()
    train.find("#history form input").fill("Mine <b>now</b>")
    train.page.keyboard.press("Enter")
    expect(train.races.first.locator("a")).to_have_text("Mine <b>now</b>")
    expect(train.find("#run h2").first).to_have_text("Mine <b>now</b>")
    train.button("Delete", "#history").click()
    train.find("#history .danger").click()
    expect(train.races.filter(has_text="Mine <b>now</b>")).to_have_count(0)
    assert not any(studio.store.get(one) for one in ids)
    expect(train.rows()).not_to_have_count(0)


def test_races_are_searched_sorted_and_saved(visit: Visit, studio: Studio) -> None:
    runs.build(studio, name="Zebra", score=0.7)
    runs.build(studio, name="Zebra", score=0.9)
    train = visit(Train)
    train.find("#history input[type=search]").fill("zebra lora")
    expect(train.races).to_have_count(2)
    score = train.find("#history thead").get_by_role("button", name="Score")
    for order, first in (("descending", "90"), ("ascending", "70")):
        score.click()
        expect(train.find(f"#history thead [aria-sort={order}]")).to_have_count(1)
        expect(train.races.first).to_contain_text(first)
    saved = json.loads(downloaded(train.find("#history").get_by_role("button", name="JSON")).read_text())
    assert [(one["race"], one["score"]) for one in saved] == [("Zebra", 0.7)] * 2 + [("Zebra", 0.9)] * 2
    train.find("#history thead input[type=checkbox]").check()
    train.button("Open", "#history").click()
    expect(train.rows()).to_have_count(4)
