"""History: races found again, compared, renamed, deleted, and saved."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from walks import runs
from walks.pages import Train, Visit, downloaded
from walks.studio import Studio


def test_races_are_overlaid_and_taken_out(visit: Visit, studio: Studio) -> None:
    shown, other = runs.build(studio, name="Shown"), runs.build(studio, name="Other")
    train = visit(Train, run=",".join(shown))
    race = train.find("#history [data-group]", "Other").first
    overlay = race.get_by_role("button", name="Overlay")
    overlay.focus()
    train.page.keyboard.press("Enter")
    expect(train.rows()).to_have_count(len(shown) + len(other))
    expect(race).to_have_attribute("aria-current", "true")
    race.get_by_role("button", name="Take out").click()
    expect(train.rows()).to_have_count(len(shown))
    race.get_by_role("button", name="Open").click()
    expect(train.find("#run h2").first).to_have_text("Other")
    assert train.shown.split(",") == other


def test_owner_renames_and_deletes_a_race(visit: Visit, studio: Studio) -> None:
    runs.build(studio, name="Kept")
    train = visit(Train)
    ids = train.start()
    train.until("finished", 3)
    train.judged()
    race = train.races.first
    race.get_by_role("button", name="Rename").click()
    race.locator("form input").fill("Mine <b>now</b>")
    train.page.keyboard.press("Enter")
    expect(race.locator(".race-name")).to_have_text("Mine <b>now</b>")
    expect(train.find("#run h2").first).to_have_text("Mine <b>now</b>")
    race.get_by_role("button", name="Delete").click()
    race.locator(".danger").click()
    expect(train.races.filter(has_text="Mine <b>now</b>")).to_have_count(0)
    assert not any(studio.store.get(one) for one in ids)
    expect(train.rows()).not_to_have_count(0)


def test_table_of_runs_is_searched_sorted_and_saved(visit: Visit, studio: Studio) -> None:
    runs.build(studio, name="Zebra", score=0.7)
    runs.build(studio, name="Zebra", score=0.9)
    train = visit(Train)
    train.find("#history .history-head input[value=table]").press(" ")
    rows = train.find("#history tbody tr")
    train.find("#history input[type=search]").fill("zebra lora")
    expect(rows).to_have_count(2)
    score = train.find("#history thead").get_by_role("button", name="Score")
    for order, first in (("descending", "90"), ("ascending", "70")):
        score.click()
        expect(train.find(f"#history thead [aria-sort={order}]")).to_have_count(1)
        expect(rows.first).to_contain_text(first)
    saved = json.loads(downloaded(train.find("#history").get_by_role("button", name="JSON")).read_text())
    assert [(one["race"], one["score"]) for one in saved] == [("Zebra", 0.7), ("Zebra", 0.9)]
    train.find("#history thead input[type=checkbox]").check()
    train.find("#history").get_by_role("button", name="Compare", exact=True).click()
    expect(train.rows()).to_have_count(2)
