"""A downloading child process that can be watched and stopped.

Package and hub clients block, retry and offer no way out, so they run in a child: it is killed when a person
presses Stop or when nothing has arrived for a while.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cdvft_app.errors import UserError
from cdvft_app.progress import ShouldStop

POLL_SECONDS = 0.2
STALL_SECONDS = 90.0  # several of a client's own retries fit in


class DownloadFailed(UserError):
    """Something cannot be fetched; the text says what, why, and what to do, for a person."""


class DownloadStopped(Exception):
    """`should_stop()` became true; nothing unfinished was kept."""


def first_line(error: Exception) -> str:
    """Return the first line of an error's message; its type where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def percent(title: str, total: int, fraction: float) -> str:
    """Return the text of a progress, such as "Reading MiniLM, 84 MB, 40 %"."""
    return f"Reading {title}, {total / 1e6:.0f} MB, {100 * fraction:.0f} %"


def run_watched(
    command: Sequence[str],
    *,
    log: Path,
    arrived: Callable[[], int],
    on_bytes: Callable[[int], None],
    should_stop: ShouldStop,
    stall_seconds: float,
    environment: Mapping[str, str] | None = None,
    working_folder: Path | None = None,
) -> int:
    """Run `command` to its end and return its exit code; its output goes to the file `log`.

    `arrived()` counts the bytes here so far and `on_bytes` hears of them.

    Raises:
        DownloadStopped: `should_stop()` became true; the child was killed.
        TimeoutError: `arrived()` did not change for `stall_seconds`; the child was killed.
    """
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=working_folder,
        )
        try:
            seen, moved = -1, time.monotonic()
            while True:
                try:
                    return child.wait(timeout=POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    pass
                if should_stop():
                    raise DownloadStopped
                now = arrived()
                if now != seen:
                    seen, moved = now, time.monotonic()
                    on_bytes(now)
                elif time.monotonic() - moved > stall_seconds:
                    raise TimeoutError(f"nothing arrived for {stall_seconds:.0f} seconds")
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
