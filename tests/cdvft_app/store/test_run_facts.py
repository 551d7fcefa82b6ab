"""What a run's folder may say: every number has bounds, and a row says what one of its kind has to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from cdvft_app.events import Started, decode
from cdvft_app.store.records import RunFacts, is_row

FACTS = {"id": "a" * 32, "group_id": "b" * 32, "name": "Sentiment", "settings": "{}", "method": "cdvft",
         "state": "finished", "created": 1.0, "queued": 1.0}  # fmt: skip
STEP = {"seconds": 1.0, "loss": 0.5, "learning_rate": 1e-3, "gradient_norm": None, "throughput": 10.0}
STARTED = {"total_steps": 4, "trainable_parameters": 10, "head_parameters": 5, "base_parameters": 100,
           "device": "CPU", "precision": "float32", "train_examples": 8, "evaluation_examples": 8,
           "metric_name": "accuracy"}  # fmt: skip
COUNTED = {"steps": 3, "evaluations": 1, "step_flops": 2, "training_flops": 6, "evaluation_flops": 4,
           "step_bytes": 0}  # fmt: skip
NUMBERS = ("position", "step", "total_steps", "trainable_parameters", "family", "seconds", "created",
           "queued", "started", "ended", "sweep", "private", "hidden")  # fmt: skip


@pytest.mark.parametrize("value", [2**70, -1, "many", [1], 1e300, float("inf"), float("nan")])
@pytest.mark.parametrize("name", NUMBERS)
def test_no_number_is_beyond_its_bounds(name: str, value: object) -> None:
    assert RunFacts.model_validate(FACTS)
    with pytest.raises(ValidationError):
        RunFacts.model_validate_json(json.dumps(FACTS | {name: value}))


@pytest.mark.parametrize(
    "changed",
    [{"id": "../../etc"}, {"state": "paused"}, {"settings": "no JSON"}, {"result": "[1]"},
     {"name": "x" * 2000}, {"result": "[" * 100_000}, {"metric": float("nan")}, {"group_id": None},
     {"visitor": "v" * 1000}, {"group_id": "g" * 1000}, {"result": '{"peak_memory_bytes": "much"}'},
     {"name": "\udcff"}],
)  # fmt: skip
def test_no_text_is_of_another_kind(changed: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RunFacts.model_validate(FACTS | changed)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "{", '{"seconds": {"value": 3}}', '{"counted": {"steps": "x"}}', 7]
    + [json.dumps({"counted": COUNTED | {name: 0}}) for name in COUNTED if name != "step_bytes"],
)
def test_a_forecast_that_cannot_be_read_is_none(text: object) -> None:
    assert RunFacts.model_validate(FACTS | {"forecast": text}).forecast is None
    for sound in ('{"steps": 7}', json.dumps({"counted": COUNTED})):
        assert RunFacts.model_validate(FACTS | {"forecast": sound}).forecast == sound


def test_what_a_later_version_says_beside_it_is_left_out() -> None:
    assert "colour" not in RunFacts.model_validate(FACTS | {"colour": "blue"}).model_dump()


@pytest.mark.parametrize(
    ("kind", "step", "data", "expected"),
    [
        ("step", 3, STEP, True),
        ("step", None, STEP, False),
        ("step", 2**70, STEP, False),
        ("step", 3, STEP | {"loss": None}, True),  # it was not finite
        ("step", 3, STEP | {"loss": "0.5"}, False),
        ("step", 3, {name: value for name, value in STEP.items() if name != "loss"}, False),
        ("note", None, {"text": "All is well.", "level": "info"}, True),
        ("preparing", None, {"text": 3, "fraction": None}, False),
        ("of a later version", None, {"anything": [1]}, True),
        ("of a later version", None, [1], False),
        ("started", None, STARTED | {"total_steps": 2**70}, False),
        ("started", None, STARTED | {"base_parameters": 2**70}, False),
    ],
)
def test_a_row_says_what_its_kind_has_to(kind: str, step: object, data: object, expected: bool) -> None:
    assert is_row(kind, step, json.dumps(data)) is expected


def test_a_row_of_an_earlier_version_is_read_without_what_is_no_longer_told(tmp_path: Path) -> None:
    row = STARTED | {"higher_is_better": True}
    assert is_row("started", None, json.dumps(row)) and decode("started", row, tmp_path) == Started(**STARTED)
