"""Waiting for what is to come, with an end that is the later the more else the machine has to do."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from cdvft_app.store.records import RunRecord
    from cdvft_app.store.runs import RunStore

Found = TypeVar("Found")


IDLE_SECONDS = 0.017  # what `_work` takes of a core that nobody else asks: Python 3.11 on a server of 2026
MEASURED_FOR = 5  # seconds


def pace() -> float:
    """How many times as long work takes now as on an idle machine; measured every five seconds."""
    return _measured(int(time.monotonic() // MEASURED_FOR))


@lru_cache(maxsize=1)
def _measured(_: int) -> float:
    begun = time.monotonic()
    _work()
    return max(1.0, (time.monotonic() - begun) / IDLE_SECONDS, _waiting_for_a_core())


def _waiting_for_a_core() -> float:
    """How many programs want each core, over the last minute: a moment's work may find one free by chance."""
    return os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0


def _work() -> int:
    total = 0
    for number in range(300_000):
        total += number * number % 7
    return total


def wait_for(
    holds: Callable[[], Found],
    seconds: float = 90,
    otherwise: Callable[[], object] = lambda: "",
    every: float = 0.1,
) -> Found:
    """The first true answer of `holds`, for which an idle machine has `seconds`, a busy one as many more.

    It is asked every hundredth of a second at first, later less often, in the end `every` so many seconds.
    Where no such answer comes, its source says what was waited for.
    """
    begun = time.monotonic()
    while not (found := holds()):
        waited = time.monotonic() - begun
        if waited > seconds and waited > seconds * pace():
            source = inspect.getsource(holds).strip()
            raise AssertionError(f"Waited {waited:.1f} seconds in vain: {source} {otherwise()}")
        time.sleep(min(every, max(0.01, waited / 10)))
    return found


def wait(store: RunStore, run_id: str, *states: str, seconds: float = 90) -> RunRecord:
    """The run once it is in one of `states`."""

    def reached() -> RunRecord | None:
        run = store.get(run_id)
        return run if run and run.state in states else None

    return wait_for(reached, seconds, lambda: f"{states}, but {store.get(run_id)}")
