"""Waiting for what is to come, with an end that is the later the more else the machine has to do."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from cdvft_app.store.records import RunRecord
    from cdvft_app.store.runs import RunStore

Found = TypeVar("Found")


def pace() -> float:
    """How many programs want each core, at least 1: work takes so many times as long as usual."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)) if hasattr(os, "getloadavg") else 1.0


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
