from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from cdvft_app.catalog.download import DownloadStopped, folder_bytes, never, percent, run_watched


def _run(code: str, folder: Path, **changes):
    settings = {
        "log": folder / "log",
        "arrived": lambda: folder_bytes(folder / "files"),
        "on_bytes": lambda count: None,
        "should_stop": never,
        "stall_seconds": 30.0,
        "working_folder": folder,
    }
    return run_watched([sys.executable, "-c", code], **(settings | changes))


@pytest.mark.parametrize(("code", "expected"), [("print('hello')", 0), ("raise SystemExit(3)", 3)])
def test_exit_code_and_output(tmp_path: Path, code: str, expected: int) -> None:
    assert _run(code, tmp_path) == expected
    assert ("hello" in (tmp_path / "log").read_text()) == (expected == 0)


def test_bytes_are_reported_as_they_arrive(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    write = "import time\nfor n in range(4):\n    open(f'files/{n}', 'wb').write(b'x' * 100); time.sleep(0.3)"
    counts: list[int] = []
    assert _run(write, tmp_path, on_bytes=counts.append) == 0
    assert counts == sorted(counts)
    assert counts[-1] == 400
    assert len(counts) >= 3


@pytest.mark.parametrize("why", ["stopped", "stalled"])
def test_the_child_is_killed(tmp_path: Path, why: str) -> None:
    number = tmp_path / "number"
    code = "import os, time; open('number', 'w').write(str(os.getpid())); time.sleep(60)"

    def started() -> bool:
        return number.exists() and number.read_text() != ""

    with pytest.raises(DownloadStopped if why == "stopped" else TimeoutError):
        _run(
            code,
            tmp_path,
            arrived=lambda: 1 if started() else -time.monotonic_ns(),
            should_stop=lambda: why == "stopped" and started(),
            stall_seconds=0.5 if why == "stalled" else 60.0,
        )
    with pytest.raises(ProcessLookupError):
        os.kill(int(number.read_text()), 0)


def test_percent() -> None:
    assert percent("MiniLM", 83_506_384, 0.4) == "Reading MiniLM, 84 MB, 40 %"
