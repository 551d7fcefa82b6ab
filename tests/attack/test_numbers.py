"""Every number that a stranger's history says, and every argument of an endpoint, as nobody thought of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import bombs
from hostile_values import HOSTILE, written
from started_server import Stranger, ask_endpoint
from test_bombs import bring

FACTS = ("position", "created", "queued", "started", "ended", "family", "name", "state", "settings", "sweep")
STARTED = ("total_steps", "trainable_parameters", "head_parameters", "base_parameters", "device")
STEP = ("step", "seconds", "loss", "learning_rate", "gradient_norm", "throughput")


def histories() -> list[tuple[str, str, str]]:
    """What each changes, its run.json and its rows.jsonl."""
    made = []
    for name, value in HOSTILE.items():
        made += [(f"{field} = {name}", _facts(field, value), "") for field in FACTS]
        rows = [(f"started.{field}", _started(field, value)) for field in STARTED]
        rows += [(f"step.{field}", _step(field, value)) for field in STEP]
        made += [(f"{field} = {name}", bombs.facts(), bombs.started() + row) for field, row in rows]
    return made


def _facts(field: str, value: Any) -> str:
    return written({**json.loads(bombs.facts()), field: value})


def _started(field: str, value: Any) -> str:
    data = json.loads(json.loads(bombs.started())["data"])
    return json.dumps({"kind": "started", "step": None, "data": written({**data, field: value})}) + "\n"


def _step(field: str, value: Any) -> str:
    step = value if field == "step" else 1
    data = {"seconds": 1.0, "loss": 0.5, "learning_rate": 0.1, "gradient_norm": None, "throughput": None}
    data = data if field == "step" else {**data, field: value}
    row = written({"kind": "step", "step": "@STEP@", "data": written(data)})
    return row.replace("STEP", written(step)) + "\n"


def test_no_number_of_a_history_stops_the_server(server, stranger, some, tmp_path) -> None:
    visitor = stranger()
    tried = some(histories(), 60)
    # What took a server down for good.
    tried += [
        ("family = 2**70", _facts("family", 2**70), ""),
        ("total_steps = 2**70", bombs.facts(), _started("total_steps", 2**70)),
    ]
    for what, facts, rows in tried:
        said = bring(visitor, bombs.history(tmp_path, facts, rows))
        assert "1 run taken" in said or "not taken" in said or "here before" in said, (what, said)
    server.restart()
    assert "1 run" in bring(stranger(), bombs.history(tmp_path)) or "was here before" in said


ENDPOINTS: dict[str, list[Any]] = {
    "predict": [["x"], ["a film"], None, "", None],
    "export": ["x", "adapter", 8, ""],
    "describe_dataset": ["x", "token", ["text"], "label", "", None, "", 20, 0],
    "upload_dataset": ["text,label\na,b\n", "name", "token", ""],
    "delete_dataset": ["x", "token"],
    "datasets": ["token"],
}


def test_no_argument_of_an_endpoint_ends_in_less_than_a_sentence(stranger, some) -> None:
    visitor = stranger()
    every = [
        (name, place, what)
        for name, usual in ENDPOINTS.items()
        for place in range(len(usual))
        for what in HOSTILE
    ]
    for name, place, what in some(every, 160):
        arguments = list(ENDPOINTS[name])
        arguments[place] = HOSTILE[what]
        answer = ask_endpoint(visitor.client, name, written({"data": arguments}))
        assert answer.ok or answer.sentence, (name, place, what, answer)


def test_a_malformed_list_of_predict_gets_a_sentence(stranger: Callable[[], Stranger]) -> None:
    visitor = stranger()
    for run_ids, texts, more in (
        ([{}], ["a film"], None),
        ([["x"]], ["a film"], None),
        ([None], ["a film"], None),
        (["x"], [1], None),
        (["x"], ["a film"], [None]),
        ({"a": 1}, ["a film"], None),
    ):
        said = str(visitor.call("predict", run_ids, texts, more, "", None).sentence)
        assert "run_ids: " in said or "texts: " in said, (run_ids, texts, more, said)
