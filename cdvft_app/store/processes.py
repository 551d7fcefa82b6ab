"""Processes and durations by what no setting of the clock changes.

A process that holds a lease is named "pid:start@machine", unique even where pids are reused: its start is
"boot/ticks" on Linux, elsewhere the time. A moment is "boot/seconds", of the clock that all processes of a
machine share from its start on.
"""

from __future__ import annotations

import os
import platform
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import psutil

CLOCK_CORRECTION_SECONDS = 2.0  # where a process's create time changes when the system clock is set
STATE, START_TICKS = 0, 19  # of what follows a process's name in /proc/<pid>/stat, see proc(5)


@lru_cache(maxsize=1)
def machine() -> str:
    """Return the name of this machine, or of this container: where a process id means one process."""
    namespace = ""
    with suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")
    return f"{platform.node()}{namespace}"


@lru_cache(maxsize=1)
def _boot() -> str | None:
    """Return the id of this start of the machine; None where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None


def this_process() -> str:
    pid = os.getpid()
    if _boot() is None:
        return f"{pid}:{psutil.Process().create_time():.2f}@{machine()}"
    return f"{pid}:{_boot()}/{_stat(pid)[START_TICKS]}@{machine()}"


def alive(name: str | None) -> bool | None:
    """Return whether the process still runs; None for one of another machine, of which nothing is known.

    A later process with the same pid does not count.
    """
    try:
        process_name, _, where = (name or "").partition("@")
        if where != machine():
            return None
        pid, started = process_name.split(":")
        if "/" in started:
            stat = _stat(int(pid))
            return stat[STATE] not in "ZX" and started == f"{_boot()}/{stat[START_TICKS]}"
        process = psutil.Process(int(pid))
        return (
            process.status() != psutil.STATUS_ZOMBIE
            and abs(process.create_time() - float(started)) < CLOCK_CORRECTION_SECONDS
        )
    except (OSError, IndexError, ValueError, OverflowError, psutil.Error):
        return False


def _stat(pid: int) -> list[str]:
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return text.rpartition(")")[2].split()


def moment(later: float = 0.0) -> str | None:
    """Return the moment `later` seconds from now; None where the system has no id of its start."""
    return None if _boot() is None else f"{_boot()}/{time.monotonic() + later:.3f}"


def seconds_between(begin: object, end: object) -> float | None:
    """Return the seconds from one moment to another; None where they are of different starts of a machine."""
    (boot, since), (other, until) = (str(one or "").rpartition("/")[::2] for one in (begin, end))
    try:
        return float(until) - float(since) if boot and boot == other else None
    except ValueError:
        return None
