from __future__ import annotations

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


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"should_stop": lambda: True}, DownloadStopped), ({"stall_seconds": 0.5}, TimeoutError)],
)
def test_the_child_is_killed(tmp_path: Path, changes: dict, error: type[Exception]) -> None:
    """It would write the file after two seconds if it lived on."""
    began = time.monotonic()
    with pytest.raises(error):
        _run("import time; time.sleep(2); open('late', 'w').close(); time.sleep(60)", tmp_path, **changes)
    assert time.monotonic() - began < 2
    time.sleep(max(0.0, 2.5 - (time.monotonic() - began)))
    assert not (tmp_path / "late").exists()


def test_percent() -> None:
    assert percent("MiniLM", 83_506_384, 0.4) == "Reading MiniLM, 84 MB, 40 %"
