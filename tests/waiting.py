"""Waiting for what is to come, with an end."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import TypeVar

from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore

Found = TypeVar("Found")


def wait_for(
    holds: Callable[[], Found], seconds: float = 90, otherwise: Callable[[], object] = lambda: ""
) -> Found:
    """The first true answer of `holds`. Where none comes, its source says what was waited for."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > end:
            waited = inspect.getsource(holds).strip()
            raise AssertionError(f"Waited {seconds} seconds in vain: {waited} {otherwise()}")
        time.sleep(0.01)
    return found


def wait(store: RunStore, run_id: str, *states: str, seconds: float = 90) -> RunRecord:
    """The run once it is in one of `states`."""

    def reached() -> RunRecord | None:
        run = store.get(run_id)
        return run if run and run.state in states else None

    return wait_for(reached, seconds, lambda: f"{states}, but {store.get(run_id)}")
