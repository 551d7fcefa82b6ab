"""Folders that take the place of another one, and such as go while they are walked: none ends in an error."""

import os
import shutil

import pytest

from cdvft_app.files import files_below, replacing_folder
from cdvft_app.public import uploads


def written(folder):
    return {file.name: file.read_text() for file in folder.iterdir()}


def test_a_new_folder_takes_the_place_of_the_old_one(tmp_path):
    place, beside = tmp_path / "runs" / "best", tmp_path / "else"
    for number in range(2):
        with replacing_folder(place, beside if number else None) as new:
            assert not list(new.iterdir())
            (new / f"file {number}").write_text("whole")
        assert written(place) == {f"file {number}": "whole"}
    assert not list(beside.iterdir()) and list(place.parent.iterdir()) == [place]


def test_after_an_error_the_old_folder_is_there_and_nothing_else(tmp_path):
    place = tmp_path / "best"
    place.mkdir()
    (place / "file").write_text("old")
    with pytest.raises(OSError, match="full"), replacing_folder(place) as new:
        (new / "file").write_text("half")
        raise OSError("The disk is full.")
    assert written(place) == {"file": "old"} and list(tmp_path.iterdir()) == [place]


def test_what_a_killed_program_left_is_not_part_of_the_new_folder(tmp_path):
    left = tmp_path / ".best.unfinished"
    left.mkdir()
    (left / "half").write_text("half")
    with replacing_folder(tmp_path / "best") as new:
        (new / "file").write_text("whole")
    assert written(tmp_path / "best") == {"file": "whole"} and not left.exists()


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

    def it_went(path):
        if ".reading" in str(path):
            raise FileNotFoundError(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", it_went)
    assert uploads.refusal(None, 1) is None
