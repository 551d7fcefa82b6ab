"""The table of architectures: each recorded line comes out again, and layers are refused with a reason."""

from __future__ import annotations

import json

import pytest

from benchmarks import architectures

RECORD = json.loads(architectures.RESULTS.read_text(encoding="utf-8"))


@pytest.mark.parametrize("one", architectures.TESTED, ids=lambda one: one.name)
def test_an_architecture_is_wrapped_trained_and_merged_as_recorded(one: architectures.Architecture) -> None:
    (recorded,) = [row for row in RECORD["architectures"] if row["name"] == one.name]
    tried = architectures.tried(one)
    assert tried["trained"] and tried["merged"] and tried["layers"] > 0
    assert tried["merge_error"] < 1e-4
    assert {**tried, "merge_error": recorded["merge_error"]} == recorded


def test_the_layers_that_are_taken_are_those_of_the_record() -> None:
    rows = [architectures.layer_row(title, make()) for title, make in architectures.LAYERS.items()]
    assert rows == RECORD["layers"]
    assert all(row["said"] for row in rows if not row["taken"])
