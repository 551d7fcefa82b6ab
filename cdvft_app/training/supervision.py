"""Watching one run from outside: whatever becomes of its process, the run ends in a state and a reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from cdvft_app.store.leases import interruption
from cdvft_app.store.records import RunRecord, StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import STOPPABLE, RunState
from cdvft_app.training.executors import Executor
from cdvft_app.training.limits import out_of_time
from cdvft_app.training.patience import patience
from cdvft_app.training.worker import PROGRAM_ENDED

POLL_SECONDS = 0.5  # between two looks at the store; the end of the process is seen at once
CLOSING_SECONDS = 30.0
DID_NOT_STOP = "It did not stop when asked and was ended. What it had at its last checkpoint is kept."

Outcome = tuple[RunState, str]


def supervise(
    store: RunStore,
    run: RunRecord,
    executor: Executor,
    limit: float | None,
    closing: Callable[[], bool],
    *,
    waits: bool = False,
) -> Outcome:
    """Have a claimed run trained, and wait until whatever trains it is gone.

    Args:
        store: where the run says what it does.
        run: in state `preparing`.
        executor: where it trains.
        limit: seconds that it may take; None: as many as it needs.
        closing: whether the program ends, and the run has to.
        waits: whether the run waits between times of training, which are all that the limit counts.

    Returns:
        The state and the reason that the run has, unless it has told the store an end of its own.
    """
    execution = executor(store, run, limit)
    watch = _Watch(store, run, None if waits else limit)
    while not execution.wait(POLL_SECONDS):
        with suppress(StoreError):  # a busy or full disk says nothing of the run
            if overdue := watch.overdue(closing()):
                execution.end()
                return overdue
    return "failed", execution.reason()


def follow(store: RunStore, run: RunRecord, executor: Executor, closing: Callable[[], bool]) -> Outcome:
    """As `supervise`, of a run that trains on another machine: it may be silent for as long as it likes.

    Args:
        store, run, executor: as there.
        closing: whether the program ends; the run goes on.
    """
    execution = executor(store, run, None)
    while not execution.wait(POLL_SECONDS):
        if closing():
            return "interrupted", interruption((store.get(run.id) or run).result)
    return "failed", execution.reason()


class _Watch:
    """When a run last wrote an event, and since when it has been asked to stop."""

    def __init__(self, store: RunStore, run: RunRecord, limit: float | None) -> None:
        self._store, self._id, self._limit = store, run.id, limit
        self._patience = patience(run.forecast)
        self._started = self._last_event = time.monotonic()
        self._cursor = 0
        self._stopping_since: float | None = None  # time.monotonic()
        self._closing_since: float | None = None  # time.monotonic()

    def overdue(self, closing: bool) -> Outcome | None:
        """Why the run has to be ended now, and in what state; None while it may go on."""
        now, state = time.monotonic(), self._store.state(self._id)
        if closing and self._closing_since is None:
            self._closing_since = now
            if state in STOPPABLE:
                self._store.ask_to_stop(self._id)
        if state == "stopping" and self._stopping_since is None:
            self._stopping_since = now
        before = self._cursor
        _, self._cursor = self._store.rows(self._id, before)
        if self._cursor != before:
            self._last_event = now
        if self._closing_since is not None and now - self._closing_since > CLOSING_SECONDS:
            return "interrupted", PROGRAM_ENDED
        if self._stopping_since is not None and now - self._stopping_since > self._patience:
            return "stopped", DID_NOT_STOP
        if self._limit is not None and now - self._started > self._limit + self._patience:
            return "failed", out_of_time(self._limit)
        if now - self._last_event > self._patience:
            return "failed", hangs(self._patience)
        return None


def hangs(seconds: float) -> str:
    return (
        f"Ended because nothing was heard of it for {seconds:.0f} seconds. "
        "Resume goes on from the last checkpoint."
    )
