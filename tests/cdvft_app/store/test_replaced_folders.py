"""A folder that takes the place of another one: it is whole, or what was there stays."""

from __future__ import annotations

import pytest

from cdvft_app.files import replacing_folder


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
