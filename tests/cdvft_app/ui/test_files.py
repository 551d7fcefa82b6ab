"""Zips that were taken home do not stay in the temporary folder."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from cdvft_app.results.finished_run import ResultsError
from cdvft_app.ui.shared import files
from cdvft_app.ui.shared.viewing import acting_as


def test_those_of_an_hour_ago_are_swept_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    old, fresh = files.new_file("adapter.zip"), files.new_file("adapter.zip")
    other = tmp_path / "somebody-else"
    other.mkdir()
    for folder, age in ((old.parent, 3700), (fresh.parent, 3000), (other, 9000)):
        os.utime(folder, (time.time() - age,) * 2)
    new = files.new_file("merged.zip")
    assert {path for path in tmp_path.iterdir()} == {fresh.parent, other, new.parent}


def test_a_disk_that_takes_nothing_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(ResultsError, match="no place for a file here"):
        files.new_file("adapter.zip")


@pytest.fixture
def public(tmp_path, monkeypatch):
    """A public server that keeps files here, of which Gradio serves copies."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv("CDVFT_UPLOAD_BYTES", "1000000")
    return tmp_path


def served(whose: str, size: int, fill: bytes = b"x") -> tuple[Path, Path]:
    """A file of this browser, and the copy that Gradio makes of it."""
    with acting_as(whose):
        out = files.export("merged.zip", lambda out: out.write_bytes(fill * size))
    return out, Path(save_file_to_cache(out, get_upload_folder()))


def test_the_next_file_of_a_browser_replaces_the_one_before(public):
    mine, others = served("ada", 100, b"1"), served("bob", 100, b"2")
    again = served("ada", 100, b"3")
    assert not any(one.exists() for one in mine)
    assert all(one.exists() for one in [*others, *again])


def test_browsers_of_one_address_have_few_files_together(public):
    made = [served(f"browser {number}", 100, bytes([number])) for number in range(12)]
    assert sum(original.exists() for original, _ in made) == files.MAX_EXPORTS_OF_ONE
    assert made[-1][0].exists()


def test_exports_and_uploads_share_one_room(public):
    served("ada", 300_000)
    with pytest.raises(ResultsError, match="CDVFT_UPLOAD_BYTES"):
        served("bob", 600_000)
    assert len([*public.glob("cdvft-export-*")]) == 1  # what was refused is gone
    (public / "gradio" / "uploaded").write_bytes(b"x" * 600_000)
    with pytest.raises(ResultsError, match="CDVFT_UPLOAD_BYTES"):
        served("cleo", 1)


def test_a_server_that_is_not_public_keeps_what_was_made(public, monkeypatch):
    monkeypatch.setenv("CDVFT_PUBLIC", "0")
    assert all(one.exists() for one in [*served("ada", 2_000_000), *served("ada", 100)])
    assert len([*public.glob("cdvft-export-*")]) == 2
