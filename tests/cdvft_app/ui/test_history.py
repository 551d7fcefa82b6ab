"""The history: what it lists, and what the owner of a race may do."""

from __future__ import annotations

import pytest
from ended_runs import trained
from ending import raced

from cdvft_app import catalog
from cdvft_app.settings import RunSettings
from cdvft_app.ui.shared.viewing import acting_as
from cdvft_app.ui.train import history


def races(app, **request):
    return history.races(app.store, request)["races"]


@pytest.fixture
def race(app):
    """The group of a race named Tickets, whose owner is "mine"."""
    ids = raced(app, "mine", "Tickets", methods=("cdvft", "lora"))
    return app.store.get(ids[0]).group_id


def test_races_list_data_states_and_scores(app):
    trained(app.store, "mine")
    (listed,) = races(app, token="mine")
    assert listed["data"] == catalog.get_dataset("rotten_tomatoes").title
    assert listed["mine"] and listed["states"] == {"finished": 1}
    (run,) = listed["runs"]
    assert (run["state"], run["method"], run["metric"]) == ("finished", "lora", 0.5)


def test_races_come_newest_first(app, race):
    raced(app, "other", "Newer")
    listed = [(one["name"], one["mine"], len(one["runs"])) for one in races(app, limit=5, token="mine")]
    assert listed == [("Newer", False, 3), ("Tickets", True, 2)]
    first = history.races(app.store, {"limit": 1})
    assert [one["name"] for one in first["races"]] == ["Newer"] and first["more"]
    assert races(app, limit=2**70)


def test_only_the_owner_hides_a_race(app, race):
    for private in (True, False):
        with acting_as("mine"):
            request = {"groups": [race], "private": private, "token": "mine"}
            assert history.set_private(app.store, request) == {"error": None}
            (mine,) = races(app, token="mine")
        assert mine["private"] is private
        assert len(races(app, token="other")) == (0 if private else 1)


def test_several_races_are_deleted_at_once_or_none(app):
    groups = [app.store.get(trained(app.store, who)).group_id for who in ("mine", "mine", "another's")]
    assert history.remove(app.store, {"groups": groups, "token": "mine"})["error"]
    assert len(races(app)) == 3
    assert history.remove(app.store, {"groups": groups[:2], "token": "mine"}) == {"error": None}
    assert [one["group"] for one in races(app)] == groups[2:]


@pytest.mark.parametrize("sweep", [False, True])
def test_training_races_cannot_be_deleted(app, sweep):
    first, second = app.store.create([RunSettings(method="cdvft")] * 2, "mine", "Two runs", sweep=sweep)
    request = {"groups": [first.group_id], "token": "mine"}
    assert not races(app)[0]["training"]  # queued races can be deleted
    app.store.set_state(second.id, "preparing", process="1:1")
    assert races(app)[0]["training"]
    assert history.remove(app.store, request)["error"]
    assert len(app.store.group(first.group_id)) == 2
    app.store.set_state(second.id, "failed", "It stopped.")
    assert history.remove(app.store, request) == {"error": None}
    assert app.store.history() == []


def test_sweeps_are_one_row(app):
    runs = [RunSettings(method="cdvft", seed=seed, train_examples=512) for seed in range(40)]
    made = app.store.create(runs, "mine", "Sweep: Sentiment", sweep=True)
    app.store.ask_to_stop(made[3].id)
    (row,) = races(app, token="mine")
    assert row["sweep"] and row["mine"] and row["runs"] == []
    assert row["states"] == {"stopped": 1, "queued": 39}


@pytest.mark.parametrize("change", [history.rename, history.set_private, history.remove])
def test_changes_need_the_owner_and_a_known_race(app, race, change):
    request = {"name": "Mine", "private": True, "groups": [race], "token": "mine"}
    without_token = {name: value for name, value in request.items() if name != "token"}
    for wrong in ({**request, "token": "other"}, {**request, "token": ""}, without_token,
                  {**request, "groups": ["../.."]}, {**request, "groups": []}):  # fmt: skip
        assert change(app.store, wrong)["error"]
    assert [(one["name"], one["private"]) for one in races(app)] == [("Tickets", False)]
