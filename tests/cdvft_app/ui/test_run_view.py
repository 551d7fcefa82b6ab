"""What the page is told of runs: only what is new, and nothing to strangers' nonsense."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ending import end, raced

from cdvft_app.events import Answers, Evaluation, Note, Preparing, Step
from cdvft_app.payloads.train import PollRequest
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.viewing import acting_as
from cdvft_app.ui.train.run_view import Feed, poll


@pytest.fixture
def run_id(app: AppState) -> str:
    return raced(app, "mine", "A name", methods=("lora",), max_steps=2)[0]


def train(app: AppState, run_id: str) -> None:
    evaluation = Evaluation(2, 1.0, 0.6, "accuracy", 0.75, final=True)
    steps = Step(1, 0.5, 0.7, 0.01, 1.0, 100.0), Step(2, 1.0, 0.6, 0.01, 1.0, 100.0)
    told = Preparing("Reading", 0.25), *steps, Note("Something to know.", "warning"), evaluation
    end(app, run_id, *told, examples_per_second=64.0)


def polled(app: AppState, request: PollRequest) -> dict[str, Any]:
    """What the browser reads."""
    return json.loads(poll(app.store, Feed(app.store), request).body)


def test_poll_gives_rows_once(app: AppState, run_id: str) -> None:
    (waiting,) = polled(app, {"cursors": {run_id: 0}})["runs"]
    assert (waiting["state"], waiting["place"], waiting["steps"]) == ("queued", 1, [])
    assert waiting["label"] == "LoRA r\u00a0=\u00a08"
    train(app, run_id)
    (told,) = polled(app, {"cursors": {run_id: waiting["cursor"]}})["runs"]
    assert told["steps"] == [[1, 0.5, 0.7], [2, 1.0, 0.6]]
    assert told["evaluations"] == [[2, 1.0, 0.75, False]]
    assert told["notes"] == [{"text": "Something to know.", "level": "warning"}]
    assert told["preparing"] == {"text": "Reading", "fraction": 0.25}
    assert (told["state"], told["examples_per_second"]) == ("finished", 64.0)
    assert told["metric_title"] == "Accuracy"
    (again,) = polled(app, {"cursors": {run_id: told["cursor"]}})["runs"]
    assert (again["steps"], again["evaluations"], again["notes"]) == ([], [], [])
    assert again["cursor"] == told["cursor"]
    assert len(json.dumps(again)) < 700  # what a client receives once a second for each run


def test_rows_are_written_down_once_for_all_who_watch(app: AppState, run_id: str, monkeypatch: Any) -> None:
    train(app, run_id)
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


@pytest.mark.parametrize("cursors", [{}, {"a" * 10_000: 0}, {"../x": -1}])
def test_poll_of_nonsense_tells_nothing(app: AppState, run_id: str, cursors: dict[str, int]) -> None:
    answer = polled(app, {"cursors": cursors})
    assert answer["runs"] == []
    assert all(len(name) <= 40 for name in answer["missing"])


@pytest.mark.parametrize("cursor", [-5, 0, 2**80])
def test_a_cursor_may_be_any_number(app: AppState, run_id: str, cursor: int) -> None:
    train(app, run_id)
    assert polled(app, {"cursors": {run_id: cursor}})["runs"][0]["state"] == "finished"


def test_poll_answers_for_a_limited_number(app: AppState) -> None:
    answer = polled(app, {"cursors": {f"id{number}": 0 for number in range(1000)}})
    assert len(answer["missing"]) == 32


@pytest.fixture
def written(app: AppState) -> str:
    """A run that writes, whose owner has typed a prompt."""
    (run_id,) = raced(app, "mine", recipe="addresses", methods=("lora",), own_prompt="mine")
    answers = {
        "right": ("n: 2", None),
        "wrong": (("n",), ()),
        "tokens": ((("n: 1", 0.5),), (("n: 2", 0.25),)),
    }
    app.store.append(run_id, Answers(3, 1.0, ("p", "mine"), ("n: 1", "n: 2"), own=True, **answers))
    return run_id


def test_what_was_written_reaches_the_page_with_its_probabilities(app: AppState, written: str) -> None:
    with app.store._database.writing() as connection:  # as the version before kept it
        before = json.dumps({"seconds": 1.0, "prompts": ["p"], "answers": ["n: 3"]})
        connection.execute(
            "INSERT INTO rows (run_id, kind, step, data) VALUES (?, 'answers', 5, ?)", (written, before)
        )
    (told,) = polled(app, {"cursors": {written: 0}})["runs"]
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


def test_on_a_public_server_a_prompt_is_for_who_typed_it(app: AppState, written: str, monkeypatch) -> None:
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    feed = Feed(app.store)
    for token, prompts in (("mine", ["p", "mine"]), ("theirs", ["p"])):
        with acting_as(token):
            (told,) = json.loads(poll(app.store, feed, {"cursors": {written: 0}}).body)["runs"]
            kept, _ = app.store.rows(written)
        assert told["answers"][0]["prompts"] == kept[0]["prompts"] == prompts
        assert ("own_prompt" in told["settings"]) == (token == "mine")
        lists = [told["answers"][0][name] for name in ("answers", "right", "wrong", "tokens")]
        assert {len(one) for one in lists} == {len(prompts)}
