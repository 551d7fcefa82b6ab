"""Zips that were taken home do not stay in the temporary folder."""

from __future__ import annotations

import os
import tempfile
import time

import pytest

from cdvft_app.results.errors import ResultsError
from cdvft_app.ui.shared import downloads


def test_those_of_an_hour_ago_are_swept_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    old, fresh = downloads.new_file("adapter.zip"), downloads.new_file("adapter.zip")
    other = tmp_path / "somebody-else"
    other.mkdir()
    for folder, age in ((old.parent, 3700), (fresh.parent, 3000), (other, 9000)):
        os.utime(folder, (time.time() - age,) * 2)
    new = downloads.new_file("merged.zip")
    assert {path for path in tmp_path.iterdir()} == {fresh.parent, other, new.parent}


def test_a_disk_that_takes_nothing_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(ResultsError, match="no place for a file here"):
        downloads.new_file("adapter.zip")
