"""Folders that go while they are walked: none of them ends in an error."""

from __future__ import annotations

import os
import shutil

import pytest

from cdvft_app.files import files_below
from cdvft_app.public import uploads


@pytest.fixture
def folder(tmp_path):
    """Two folders with a file of 10 bytes each."""
    for name in ("one", "two"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "rows").write_bytes(b"x" * 10)
    return tmp_path


def test_a_folder_that_goes_meanwhile_is_left_out(folder):
    walk = files_below(folder)
    first, known = next(walk)
    assert known.st_size == 10
    for other in {"one", "two"} - {first.relative_to(folder).parts[0]}:
        shutil.rmtree(folder / other)
    assert list(walk) == []


def test_links_are_no_files(folder):
    (folder / "link").symlink_to(folder / "one" / "inner" / "rows")
    assert len(list(files_below(folder))) == 2


def test_room_is_counted_while_another_s_rows_are_read(folder, monkeypatch):
    """A paste was answered "Something went wrong": another one had just been read, and its place went."""
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv("RUNS_DIR", str(folder))
    (folder / "data" / ".reading-1" / "ready").mkdir(parents=True)
    scandir = os.scandir

    def it_went(path: str) -> object:
        if ".reading" in str(path):
            raise FileNotFoundError(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", it_went)
    assert uploads.refusal(None, 1) is None
