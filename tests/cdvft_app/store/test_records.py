"""The bounds of a run's values, and of its events'."""

from __future__ import annotations

import json

import pytest
import run_events

from cdvft_app.events import encode
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import readable_event, record

ROW = {"id": "a" * 32, "group_id": "b" * 32, "position": 0, "name": "Films", "method": "lora",
       "settings": RunSettings(method="lora").model_dump_json(), "state": "stopped", "created": 1.7e9,
       "queued": 1.7e9, "result": "{}", "forecast": '{"steps": 7}'}  # fmt: skip


def test_record_reads_a_sound_row():
    run = record(ROW)
    assert (run.damaged, run.settings.method.key, run.forecast, run.result) == (
        False,
        "lora",
        {"steps": 7},
        {},
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("position", 2**70), ("step", -1), ("total_steps", 2**70), ("trainable_parameters", "many"),
     ("seconds", float("inf")), ("created", float("nan")), ("ended", 1e300), ("sweep", 7), ("family", -1),
     ("id", "../../etc"), ("state", "paused"), ("settings", "no JSON"), ("settings", "[" * 100_000),
     ("settings", '{"method": "lora", "new": 1}'), ("result", "[1]"), ("name", "x" * 2000),
     ("name", "\udcff"), ("group_id", None), ("visitor", "v" * 1000), ("result", '{"a": "\udcff"}')],
)  # fmt: skip
def test_record_of_a_bad_value_is_damaged(name, value):
    run = record(ROW | {name: value})
    assert run.damaged and run.private and (run.id == ROW["id"]) == (name != "id")


STEP = {name: value for name, value in encode(run_events.step(3)).items() if name != "step"}
STARTED = encode(run_events.started())


@pytest.mark.parametrize(
    ("kind", "step", "data", "expected"),
    [
        ("step", 3, STEP, True),
        ("step", None, STEP, False),
        ("step", "x", STEP, False),
        ("step", 2**70, STEP, False),
        ("step", 3, STEP | {"loss": None}, True),  # it was not finite
        ("step", 3, STEP | {"loss": "low"}, False),
        ("step", 3, {name: STEP[name] for name in STEP if name != "loss"}, False),
        ("note", None, {"text": "All is well.", "level": "info"}, True),
        ("note", 3, {"text": "All is well.", "level": "info"}, False),
        ("preparing", None, {"text": 3, "fraction": None}, False),
        ("unknown", None, {"anything": [1]}, False),
        ("started", None, STARTED, True),
        ("started", None, [1], False),
    ],
)
def test_readable_event_checks_the_kind(kind, step, data, expected):
    assert (readable_event(kind, step, json.dumps(data)) is not None) is expected
    assert readable_event(kind, step, "{") is None
