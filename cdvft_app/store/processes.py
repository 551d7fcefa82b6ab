"""Which process trains a run, in words that outlive it: "pid:create_time"."""

from __future__ import annotations

import psutil

CLOCK_CORRECTION_SECONDS = 2.0  # the operating system's word on a start moves when its clock is set


def this_process() -> str:
    process = psutil.Process()
    return f"{process.pid}:{process.create_time():.2f}"


def alive(name: str | None) -> bool:
    """Whether the process still runs; a number that was given to a later process does not count."""
    try:
        pid, created = (name or "").split(":")
        process = psutil.Process(int(pid))
        return (
            process.status() != psutil.STATUS_ZOMBIE
            and abs(process.create_time() - float(created)) < CLOCK_CORRECTION_SECONDS
        )
    except (ValueError, OverflowError, psutil.Error):
        return False
