"""Folders that take the place of another one, and such as go while they are walked: none ends in an error."""

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
