"""One run in this terminal: it skips the queue, Ctrl-C stops it, several processes may share its batches."""

from __future__ import annotations

import math
import pkgutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cdvft_app.events import Event, Halt, TrainingPaused
from cdvft_app.settings.environment import environment
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.training import data_parallel, webhook
from cdvft_app.training.execution import TRAINER, execute
from cdvft_app.training.heartbeat import renewing
from cdvft_app.training.limits import out_of_time

IMPATIENCE_SECONDS = 1.0  # a launcher repeats a terminal's Ctrl-C at once; a person takes longer


def run_here(
    store: RunStore, take: Callable[[RunStore], RunRecord], listen: Callable[[Event], None]
) -> RunRecord:
    """Train one run to its end in this process, the first of those that share it.

    With CDVFT_MAX_RUN_SECONDS one that takes longer fails, and can be resumed from its last checkpoint.

    Args:
        store: keeps the run; only the first process writes.
        take: makes or takes up the run, in state `preparing`.
        listen: hears the run's events.

    Returns:
        The run as it ended.

    Raises:
        InvalidChoice: CDVFT_REPORT_TO names what is not here.
    """
    environment()  # refuses what means nothing before a run is made
    with stop_signals() as should_stop:  # around the slow import as well
        run = take(store)
        data_parallel.lead(run, store.folder(run.id))
        train = pkgutil.resolve_name(TRAINER)
        limit = environment().max_run_seconds
        end = math.inf if limit is None else time.monotonic() + limit

        def halt() -> Halt:
            return should_stop() or (Halt.PAUSE if time.monotonic() > end else Halt.NO)

        with renewing(store, run):
            try:
                execute(store, run, train, halt, listen)
            except TrainingPaused:
                store.set_state(run.id, "failed", out_of_time(limit or 0), epoch=run.epoch)
        ended = store.get(run.id)
    data_parallel.disconnect()
    assert ended is not None
    webhook.notify(ended)
    return ended


def run_as_worker() -> None:
    """`run_here` of a process that is not the first."""
    with stop_signals() as should_stop:
        data_parallel.follow(should_stop)


@contextmanager
def stop_signals() -> Iterator[Callable[[], Halt]]:
    """Gives `should_stop`: STOP after Ctrl-C or SIGTERM. Ctrl-C once more interrupts at once."""
    since: list[float] = []

    def ask(number: int, frame: Any) -> None:
        if number == signal.SIGINT and since and time.monotonic() - since[0] > IMPATIENCE_SECONDS:
            raise KeyboardInterrupt
        since.append(time.monotonic())

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: Halt.STOP if since else Halt.NO
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
