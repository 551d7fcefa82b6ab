"""Uploads of a public server: they go, and they end."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cdvft_app.public import uploads


@pytest.fixture
def folder(tmp_path, tmp_path_factory, monkeypatch):
    """100 bytes from two hours ago and 200 from now, on a server that keeps 500 for an hour."""
    monkeypatch.setenv("RUNS_DIR", str(tmp_path_factory.mktemp("home")))
    for name, value in (("PUBLIC", "1"), ("UPLOAD_BYTES", "500"), ("UPLOAD_HOURS", "1")):
        monkeypatch.setenv(f"CDVFT_{name}", value)
    for name, size, age in (("old", 100, 7200), ("new", 200, 0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(b"x" * size)
        os.utime(tmp_path / name / "a.png", (time.time() - age,) * 2)
    return tmp_path


def test_what_is_old_goes_and_the_rest_counts(folder):
    assert uploads.purge_expired(folder) == 200
    assert [file.parent.name for file in folder.rglob("*.png")] == ["new"]


@pytest.mark.parametrize(("wanted", "refused"), [(0, False), (300, False), (301, True)])
def test_more_than_there_is_room_for_is_refused_with_a_sentence(folder, wanted, refused):
    said = uploads.refusal(folder, wanted)
    assert (said is not None) == refused
    assert not refused or ("CDVFT_UPLOAD_BYTES" in said and "after 1 h" in said)


def test_visitors_rows_and_uploads_share_one_room(folder):
    home = Path(os.environ["RUNS_DIR"])
    (home / "data" / "abc").mkdir(parents=True)
    (home / "data" / "abc" / "rows.arrow").write_bytes(b"x" * 250)
    assert uploads.refusal(folder, 50) is None and "CDVFT_UPLOAD_BYTES" in uploads.refusal(folder, 51)
    assert uploads.refusal(None, 250) is None and uploads.refusal(None, 251)
