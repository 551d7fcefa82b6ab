"""What the page is told of runs: only what is new, and nothing to strangers' nonsense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cdvft_app import catalog
from cdvft_app.events import Answers, Done, Evaluation, Note, Preparing, Started, Step
from cdvft_app.payloads.train import PollRequest
from cdvft_app.settings import RaceRequest, RunSettings
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.viewing import acting_as
from cdvft_app.ui.train import history
from cdvft_app.ui.train.run_view import Feed, poll


@pytest.fixture
def run_id(app: AppState) -> str:
    settings = catalog.resolve(RaceRequest(methods=("lora",), max_steps=2).runs()[0]).settings
    return app.store.create([settings], "mine", "A name")[0].id


def train(store: RunStore, run_id: str) -> None:
    store.set_state(run_id, "preparing")
    for event in (
        Preparing("Reading", 0.25),
        Started(2, 73_728, 770, 22_000_000, "CPU", "float32", 64, 32, "accuracy"),
        Step(1, 0.5, 0.7, 0.01, 1.0, 100.0),
        Note("Something to know.", "warning"),
        Step(2, 1.0, 0.6, 0.01, 1.0, 100.0),
        Evaluation(2, 1.0, 0.6, "accuracy", 0.75, final=True),
        Done("finished", 2, 1.0, "accuracy", 0.75, 0.6, 64.0, 1000, None, Path("adapter")),
    ):
        store.append(run_id, event)


def polled(app: AppState, request: PollRequest) -> dict[str, Any]:
    """What the browser reads."""
    return json.loads(poll(app.store, Feed(app.store), request).body)


def test_poll_gives_rows_once(app: AppState, run_id: str) -> None:
    (waiting,) = polled(app, {"cursors": {run_id: 0}})["runs"]
    assert (waiting["state"], waiting["place"], waiting["steps"]) == ("queued", 1, [])
    train(app.store, run_id)
    assert waiting["label"] == "LoRA r\u00a0=\u00a08"
    (told,) = polled(app, {"cursors": {run_id: waiting["cursor"]}})["runs"]
    assert told["steps"] == [[1, 0.5, 0.7], [2, 1.0, 0.6]]
    assert told["evaluations"] == [[2, 1.0, 0.75, False]]
    assert told["notes"] == [{"text": "Something to know.", "level": "warning"}]
    assert told["preparing"] == {"text": "Reading", "fraction": 0.25}
    assert (told["state"], told["examples_per_second"], told["metric_title"]) == (
        "finished",
        64.0,
        "Accuracy",
    )
    (again,) = polled(app, {"cursors": {run_id: told["cursor"]}})["runs"]
    assert (again["steps"], again["evaluations"], again["notes"]) == ([], [], [])
    assert again["cursor"] == told["cursor"]
    assert len(json.dumps(again)) < 700  # what a client receives once a second for each run


def test_rows_are_written_down_once_for_all_who_watch(app: AppState, run_id: str, monkeypatch: Any) -> None:
    train(app.store, run_id)
    read: list[tuple[Any, ...]] = []
    rows = app.store.rows

    def counted(*about: Any, **more: Any) -> Any:
        read.append(about)
        return rows(*about, **more)

    monkeypatch.setattr(app.store, "rows", counted)
    feed = Feed(app.store)
    first, *others = (poll(app.store, feed, {"cursors": {run_id: 0}}).body for _ in range(5))
    assert len(read) == 1 and set(others) == {first}
    app.store.append(run_id, Note("One more."))
    (again,) = json.loads(poll(app.store, feed, {"cursors": {run_id: 0}}).body)["runs"]
    assert [note["text"] for note in again["notes"]] == ["Something to know.", "One more."]
    assert len(read) == 2


@pytest.mark.parametrize("cursors", [{}, {"nobody": 0}, {"a" * 10_000: 0}, {"../x": -1}])
def test_poll_of_nonsense_tells_nothing(app: AppState, run_id: str, cursors: dict[str, int]) -> None:
    answer = polled(app, {"cursors": cursors})
    assert answer["runs"] == []
    assert all(len(name) <= 40 for name in answer["missing"])


@pytest.mark.parametrize("cursor", [-5, 0, 2**80])
def test_a_cursor_may_be_any_number(app: AppState, run_id: str, cursor: int) -> None:
    train(app.store, run_id)
    assert polled(app, {"cursors": {run_id: cursor}})["runs"][0]["state"] == "finished"


def test_poll_answers_for_a_limited_number(app: AppState) -> None:
    answer = polled(app, {"cursors": {f"id{number}": 0 for number in range(1000)}})
    assert len(answer["missing"]) == 32


def test_only_the_owner_of_what_waits_or_trains_is_offered_to_stop_it(app: AppState, run_id: str) -> None:
    (waiting,) = app.store.create([RunSettings(method="cdvft")], "mine", "Waiting")
    asked = {"cursors": {waiting.id: 0}}
    assert polled(app, asked | {"token": "mine"})["stoppable"]
    for token in ("other", None, 5):
        assert not polled(app, asked | {"token": token})["stoppable"]
    assert not polled(app, asked)["stoppable"]
    app.store.set_state(waiting.id, "stopped")
    assert not polled(app, asked | {"token": "mine"})["stoppable"]


def test_history_lists_whole_races_newest_first(app: AppState, run_id: str) -> None:
    settings = [catalog.resolve(one).settings for one in RaceRequest().runs()]
    app.store.create(settings, "other", "Newer")
    answer = history.races(app.store, {"limit": 5, "token": "mine"})
    assert [(race["name"], race["mine"], len(race["runs"])) for race in answer["races"]] == [
        ("Newer", False, 3),
        ("A name", True, 1),
    ]
    assert not answer["more"]
    first = history.races(app.store, {"limit": 1})
    assert [race["name"] for race in first["races"]] == ["Newer"]
    assert first["more"]


def test_only_its_owner_makes_a_race_private(app: AppState, run_id: str) -> None:
    asked: dict[str, Any] = {"group": app.store.get(run_id).group_id, "private": True}
    refused = history.set_private(app.store, asked | {"token": "other"})
    assert refused["error"] and "Only the browser" in refused["error"]
    for private in (True, False):
        with acting_as("mine"):  # as a part of the page does, by the token in what is asked
            told = history.set_private(app.store, asked | {"private": private, "token": "mine"})
            assert told == {"error": None}
            (race,) = history.races(app.store, {"token": "mine"})["races"]
        assert race["private"] is private
        assert len(history.races(app.store, {"token": "other"})["races"]) == (0 if private else 1)


def test_history_changes_only_for_the_owner(app: AppState, run_id: str) -> None:
    group = app.store.get(run_id).group_id
    asked: dict[str, Any] = {"group": group, "name": "Renamed"}
    refused = history.rename(app.store, asked | {"token": "other"})
    assert refused["error"] and "Only the browser" in refused["error"]
    assert history.rename(app.store, asked | {"token": "mine"}) == {"error": None}
    assert app.store.get(run_id).name == "Renamed"
    refused = history.remove(app.store, {"group": group, "token": "other"})
    assert refused["error"]
    assert history.remove(app.store, {"group": group, "token": "mine"}) == {"error": None}
    assert app.store.get(run_id) is None


@pytest.mark.parametrize("sweep", [False, True])
def test_history_says_which_race_trains_and_so_cannot_be_deleted(app: AppState, sweep: bool) -> None:
    first, second = app.store.create([RunSettings(method="cdvft")] * 2, "mine", "Two runs", sweep=sweep)

    def training() -> bool:
        return history.races(app.store, {"token": "mine"})["races"][0]["training"]

    assert not training()  # those that wait can be deleted
    app.store.set_state(first.id, "preparing", process="1:1")
    assert training()
    assert "stop it first" in str(
        history.remove(app.store, {"group": first.group_id, "token": "mine"})["error"]
    )
    app.store.set_state(first.id, "failed", "It stopped.")
    assert not training()
    assert history.remove(app.store, {"group": second.group_id, "token": "mine"}) == {"error": None}


def test_history_shows_a_sweep_as_one_line(app: AppState) -> None:
    runs = [RunSettings(method="cdvft", seed=seed, train_examples=512) for seed in range(40)]
    made = app.store.create(runs, "mine", "Sweep: Sentiment", sweep=True)
    app.store.ask_to_stop(made[3].id)
    (line,) = history.races(app.store, {"token": "mine"})["races"]
    assert line["sweep"] and line["mine"] and line["runs"] == []
    assert line["summary"].startswith("40 runs · 1 stopped · 39 queued · Sentiment of film reviews · 512")
    app.store.leases.next("1:1.00")
    refused = history.remove(app.store, {"group": line["group"], "token": "mine"})
    assert refused["error"] and "stop it first" in refused["error"]
    assert len(app.store.group(line["group"])) == 40, "what is refused deletes nothing"
    app.store.set_state(made[0].id, "failed")
    assert history.remove(app.store, {"group": line["group"], "token": "mine"}) == {"error": None}
    assert app.store.history() == []


@pytest.mark.parametrize(
    "asked", [{"group": "../..", "token": "t"}, {"group": "a" * 32}, {"group": "", "token": ""}]
)
def test_history_refuses_nonsense(app: AppState, asked: Any) -> None:
    assert history.rename(app.store, {**asked, "name": "Mine"})["error"]
    assert history.remove(app.store, asked)["error"]
    assert history.races(app.store, {"limit": 2**70})["races"] == []


WRITTEN = Answers(
    3,
    1.0,
    ("p", "mine"),
    ("n: 1", "n: 2"),
    right=("n: 2", None),
    wrong=(("n",), ()),
    tokens=((("n: 1", 0.5),), (("n: 2", 0.25),)),
    own=True,
)


def test_what_was_written_reaches_the_page_with_its_probabilities(app: AppState) -> None:
    settings = catalog.resolve(RunSettings(recipe="addresses", method="lora", own_prompt="mine")).settings
    run_id = app.store.create([settings], "mine")[0].id
    app.store.append(run_id, WRITTEN)
    with app.store._database.writing() as connection:  # as the version before kept it
        before = json.dumps({"seconds": 1.0, "prompts": ["p"], "answers": ["n: 3"]})
        connection.execute(
            "INSERT INTO rows (run_id, kind, step, data) VALUES (?, 'answers', 5, ?)", (run_id, before)
        )
    (told,) = polled(app, {"cursors": {run_id: 0}})["runs"]
    assert told["answers"] == [
        {
            "step": 3,
            "prompts": ["p", "mine"],
            "answers": ["n: 1", "n: 2"],
            "right": ["n: 2", None],
            "wrong": [["n"], []],
            "tokens": [[["n: 1", 0.5]], [["n: 2", 0.25]]],
        },
        {"step": 5, "prompts": ["p"], "answers": ["n: 3"]},
    ]


def test_on_a_public_server_a_prompt_is_for_who_typed_it(app: AppState, monkeypatch: Any) -> None:
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    settings = catalog.resolve(RunSettings(recipe="addresses", method="lora", own_prompt="mine")).settings
    run_id = app.store.create([settings], "mine")[0].id
    app.store.append(run_id, WRITTEN)
    feed = Feed(app.store)
    for token, prompts in (("mine", ["p", "mine"]), ("theirs", ["p"])):
        with acting_as(token):
            (told,) = json.loads(poll(app.store, feed, {"cursors": {run_id: 0}}).body)["runs"]
            kept, _ = app.store.rows(run_id)
        assert told["answers"][0]["prompts"] == kept[0]["prompts"] == prompts
        assert ("own_prompt" in told["settings"]) == (token == "mine")
        assert [len(told["answers"][0][name]) for name in ("answers", "right", "wrong", "tokens")] == [
            len(prompts)
        ] * 4
