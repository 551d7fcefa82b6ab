"""The vendored addresses, and answers of fields."""

from __future__ import annotations

import dataclasses
import re

import pytest

from cdvft_app import catalog
from cdvft_app.catalog.dataset_readers import load_rows
from cdvft_app.metrics import measure_texts
from cdvft_app.metrics.fields import answer_lines, read_fields

NAMES = ("number", "street", "unit")
ADDRESSES = dataclasses.replace(catalog.get_dataset("us_addresses"), fields=NAMES)
TEXT = dataclasses.replace(ADDRESSES, fields=())


def test_no_street_is_both_trained_on_and_asked() -> None:
    rows = load_rows(catalog.get_dataset("us_addresses"), train_examples=500, evaluation_examples=500, seed=3)
    assert (len(rows.train), len(rows.evaluation)) == (471, 96)
    streets = [
        {re.search("street: (.*)", answer)[1].lower() for answer in split.labels}  # type: ignore[index]
        for split in (rows.train, rows.evaluation)
    ]
    assert not streets[0] & streets[1]
    for prompt, answer in zip(rows.train.inputs, rows.train.labels, strict=True):
        values = [line.partition(": ")[2] for line in answer.splitlines()]
        assert all(value in prompt for value in values)  # nothing is to be guessed


def test_fields_are_written_in_order_and_read_back() -> None:
    values = {"unit": "# 27", "number": "2500", "street": "padre blvd"}
    written = answer_lines(values | {"extra": "no"}, NAMES)
    assert written == "number: 2500\nstreet: padre blvd\nunit: # 27" and read_fields(written, NAMES) == values


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("- **Number**: 12\n- **Street**: Elm: East", {"number": "12", "street": "Elm: East"}),
        ('Sure! {"number": 12, "street": "Elm", "unit": null}', {"number": "12", "street": "Elm"}),
        ("number: 1\nnumber: 2", {"number": "1"}),
        ("I cannot read this address.", {}),
        ("{number", {}),
    ],
)
def test_what_other_models_write_is_read_with_patience(text, found) -> None:
    assert read_fields(text, NAMES) == found


def test_an_answer_is_right_when_all_fields_are_and_none_is_too_many() -> None:
    wanted = ["number: 1\nstreet: Elm St.", "number: 2\nstreet: Oak"]
    measured = measure_texts(
        ["NUMBER: 1\nstreet: elm st", "number: 2\nstreet: Oak\nunit: 3"], wanted, ADDRESSES
    )
    assert measured == {"exact_match": 0.5, "field_f1": pytest.approx(2 * 4 / (5 + 4))}
    assert measure_texts(["chatter", ""], wanted, ADDRESSES) == {"exact_match": 0.0, "field_f1": 0.0}
    assert measure_texts([" yes", "no"], ["yes", "yes"], TEXT) == {"exact_match": 0.5}
