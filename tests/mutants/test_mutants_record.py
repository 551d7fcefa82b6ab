"""The record of mutants is of what `make mutants` changes today, and its settings name what is there."""

from __future__ import annotations

import json

import pytest
from record import RECORD, ROOT, SETTINGS, mutated


def test_every_recorded_file_is_there_and_one_that_is_changed() -> None:
    """A file that was merged into another, or moved, takes its part of the record with it: record it anew."""
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    assert sorted(recorded.keys() - mutated()) == []


@pytest.mark.parametrize("name", ["only_mutate", "also_copy", "pytest_add_cli_args_test_selection"])
def test_every_path_of_the_settings_is_there(name: str) -> None:
    assert [pattern for pattern in SETTINGS[name] if not any(ROOT.glob(pattern))] == []
