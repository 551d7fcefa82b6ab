from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from cdvft_app.catalog.download import DownloadStopped, percent, run_watched
from cdvft_app.files import folder_bytes
from cdvft_app.progress import never


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


WRITES = """
import os
for n in range(1, 4):
    with open(f"part{n}", "wb") as file:
        file.write(b"x" * 100)
    os.rename(f"part{n}", f"files/{n}")
    open("heard").read()  # until somebody has written there
print("hello")
raise SystemExit(3)
"""


def test_bytes_are_reported_as_they_arrive_and_the_output_and_exit_code_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    os.mkfifo(tmp_path / "heard")
    counts: list[int] = []

    def hear(count: int) -> None:
        counts.append(count)
        if count:
            (tmp_path / "heard").write_text("")

    assert _run(WRITES, tmp_path, on_bytes=hear) == 3
    assert (tmp_path / "log").read_text().strip() == "hello"
    assert [count for count in counts if count] == [100, 200, 300]


@pytest.mark.parametrize("why", ["stopped", "stalled"])
def test_the_child_is_killed(tmp_path: Path, why: str) -> None:
    number = tmp_path / "number"
    os.mkfifo(tmp_path / "never")
    code = "import os; open('number', 'w').write(str(os.getpid())); open('never')"

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
