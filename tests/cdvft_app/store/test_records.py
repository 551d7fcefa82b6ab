"""The bounds of a run's values, and of its events'."""

from __future__ import annotations

import pytest

from cdvft_app.settings import RunSettings
from cdvft_app.store.records import record

ROW = {"id": "a" * 32, "group_id": "b" * 32, "position": 0, "name": "Films", "method": "lora",
       "settings": RunSettings(method="lora").model_dump_json(), "state": "stopped", "created": 1.7e9,
       "queued": 1.7e9, "result": "{}", "forecast": '{"steps": 7}'}  # fmt: skip


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
