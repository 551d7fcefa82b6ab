"""The history as cards of races and as a table of runs: what they say, and what their owner may do."""

from __future__ import annotations

import pytest
from ended_runs import trained
from ending import raced

from cdvft_app import catalog
from cdvft_app.settings import RunSettings
from cdvft_app.ui.shared.viewing import acting_as
from cdvft_app.ui.train import history


def rows(app, token="mine"):
    return {row["id"]: row for row in history.runs(app.store, {"token": token})["runs"]}


def races(app, **asked):
    return history.races(app.store, asked)["races"]


@pytest.fixture
def race(app):
    """A race of mine by its runs' ids, and the name of its group."""
    ids = raced(app, "mine", "Tickets", methods=("cdvft", "lora"))
    return ids, app.store.get(ids[0]).group_id


def test_each_run_is_a_row_with_what_it_can_be_found_by(app):
    run_id, other = trained(app.store, "mine"), trained(app.store, "another's")
    found = rows(app)
    row = found[run_id]
    assert row["data"] == catalog.get_dataset("rotten_tomatoes").title
    assert (row["state"], row["method_title"], row["metric"]) == ("finished", "LoRA", 0.5)
    assert row["label"].startswith("LoRA r")
    assert row["mine"] and not found[other]["mine"]
    assert [*found] == [other, run_id]  # the newest first


def test_whole_races_are_listed_the_newest_first(app, race):
    raced(app, "other", "Newer")
    answer = history.races(app.store, {"limit": 5, "token": "mine"})
    listed = [(race["name"], race["mine"], len(race["runs"])) for race in answer["races"]]
    assert listed == [("Newer", False, 3), ("Tickets", True, 2)] and not answer["more"]
    first = history.races(app.store, {"limit": 1})
    assert [race["name"] for race in first["races"]] == ["Newer"] and first["more"]


def test_only_its_owner_makes_a_race_private(app, race):
    for private in (True, False):
        with acting_as("mine"):  # as a part of the page does, by the token in what is asked
            asked = {"group": race[1], "private": private, "token": "mine"}
            assert history.set_private(app.store, asked) == {"error": None}
            (mine,) = races(app, token="mine")
        assert mine["private"] is private
        assert len(races(app, token="other")) == (0 if private else 1)


def test_a_tag_is_a_word_of_the_name_and_is_given_to_whole_races(app, race):
    (first, second), group = race
    for tag in ("for the boss", "for-the-boss"):  # once
        assert history.tag(app.store, {"runs": [first], "tag": tag, "token": "mine"}) == {"error": None}
    found = rows(app)
    assert found[first]["tags"] == found[second]["tags"] == ["for-the-boss"]
    assert found[first]["name"] == "Tickets"
    assert app.store.get(first).name == "Tickets #for-the-boss"
    assert history.tag(app.store, {"runs": [first], "tag": "!!", "token": "mine"})["error"]
    assert history.rename(app.store, {"group": group, "name": "New", "token": "mine"}) == {"error": None}
    assert (found := rows(app))[second]["name"] == "New" and found[second]["tags"] == []


def test_several_runs_are_deleted_at_once_or_none(app):
    first, second, others = (trained(app.store, who) for who in ("mine", "mine", "another's"))
    assert history.remove(app.store, {"runs": [first, others], "token": "mine"})["error"]
    assert {*rows(app)} == {first, second, others}
    assert history.remove(app.store, {"runs": [first, second], "token": "mine"}) == {"error": None}
    assert {*rows(app)} == {others}


@pytest.mark.parametrize("sweep", [False, True])
def test_a_race_that_trains_is_said_to_and_cannot_be_deleted(app, sweep):
    first, second = app.store.create([RunSettings(method="cdvft")] * 2, "mine", "Two runs", sweep=sweep)
    asked = {"group": first.group_id, "token": "mine"}
    assert not races(app)[0]["training"]  # those that wait can be deleted
    app.store.set_state(second.id, "preparing", process="1:1")
    assert races(app)[0]["training"]
    assert "stop it first" in history.remove(app.store, asked)["error"]
    assert len(app.store.group(first.group_id)) == 2, "what is refused deletes nothing"
    app.store.set_state(second.id, "failed", "It stopped.")
    assert not races(app)[0]["training"]
    assert history.remove(app.store, asked) == {"error": None}
    assert app.store.history() == []


def test_a_sweep_is_one_line(app):
    runs = [RunSettings(method="cdvft", seed=seed, train_examples=512) for seed in range(40)]
    made = app.store.create(runs, "mine", "Sweep: Sentiment", sweep=True)
    app.store.ask_to_stop(made[3].id)
    (line,) = races(app, token="mine")
    assert line["sweep"] and line["mine"] and line["runs"] == []
    assert line["summary"].startswith("40 runs · 1 stopped · 39 queued · Sentiment of film reviews · 512")


@pytest.mark.parametrize(
    ("change", "by"),
    [
        (history.rename, "group"),
        (history.set_private, "group"),
        (history.remove, "group"),
        (history.remove, "runs"),
        (history.tag, "runs"),
    ],
)
def test_only_its_owner_changes_a_race_and_nonsense_is_answered(app, race, change, by):
    ids, group = race
    said = {"name": "Mine", "private": True, "tag": "good", by: {"group": group, "runs": ids}[by]}
    assert "browser that started" in change(app.store, {**said, "token": "other"})["error"]
    nothing = {by: {"group": "../..", "runs": ["../.."]}[by], "token": "mine"}
    for asked in (said, {**said, "token": ""}, {**said, **nothing}):
        assert change(app.store, asked)["error"]
    assert [(one["name"], one["private"]) for one in races(app)] == [("Tickets", False)]
    assert races(app, limit=2**70) and history.runs(app.store, {})["runs"]
