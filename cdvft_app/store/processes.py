"""Names of processes that hold leases: "pid:create_time@machine", unique even where pids are reused."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from functools import lru_cache

import psutil

CLOCK_CORRECTION_SECONDS = 2.0  # a process's create time changes when the system clock is set


@lru_cache(maxsize=1)
def machine() -> str:
    """This machine, or this container: where a process id means one process."""
    namespace = ""
    with suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")
    return f"{platform.node()}{namespace}"


def this_process() -> str:
    process = psutil.Process()
    return f"{process.pid}:{process.create_time():.2f}@{machine()}"


def alive(name: str | None) -> bool | None:
    """Whether the process still runs; None for one of another machine, of which nothing is known.

    A later process with the same pid does not count.
    """
    try:
        process_name, _, where = (name or "").partition("@")
        if where != machine():
            return None
        pid, created = process_name.split(":")
        process = psutil.Process(int(pid))
        return (
            process.status() != psutil.STATUS_ZOMBIE
            and abs(process.create_time() - float(created)) < CLOCK_CORRECTION_SECONDS
        )
    except (ValueError, OverflowError, psutil.Error):
        return False
