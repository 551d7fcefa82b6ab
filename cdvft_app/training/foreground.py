"""One run in this terminal: it skips the queue, Ctrl-C stops it, several processes may share its batches."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cdvft_app.events import Event, Halt, TrainingStopped
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.training.execution import execute
from cdvft_app.training.heartbeat import renewing

IMPATIENCE_SECONDS = 1.0  # a launcher repeats a terminal's Ctrl-C at once; a person takes longer


def rank() -> int:
    """This process's number among those that a launcher such as `accelerate launch` started together."""
    return int(os.environ.get("RANK", "0"))


def left_alone() -> bool:
    """Several processes were asked for and one was started, as `accelerate launch --cpu` does without MPI."""
    return {"ACCELERATE_USE_CPU", "MASTER_ADDR"} <= set(os.environ) and "RANK" not in os.environ


def run_here(
    store: RunStore, take: Callable[[RunStore], RunRecord], listen: Callable[[Event], None]
) -> RunRecord:
    """Train one run to its end in this process, the first of those that share it.

    Args:
        store: keeps the run; only the first process writes.
        take: makes or takes up the run, in state `preparing`.
        listen: hears the run's events.

    Returns:
        The run as it ended.
    """
    with stop_signals() as should_stop:  # around the slow import as well
        run = take(store)
        _shared((run.settings.model_dump(), str(store.folder(run.id)), run.step > 0))
        from cdvft_app.training.trainer import train

        with renewing(store, run):
            execute(store, run, train, should_stop, listen)
        ended = store.get(run.id)
    _part()
    assert ended is not None
    return ended


def assist() -> None:
    """Do the share of a process that is not the first in the first one's run."""
    settings, folder, resume = _shared(None)
    from cdvft_app.training.trainer import train

    with stop_signals() as should_stop, suppress(TrainingStopped):
        train(RunSettings(**settings), lambda event: None, should_stop, Path(folder), resume)
    _part()


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


def _shared(mine: Any) -> Any:
    """What the first process has, in every process."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return mine
    import torch
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    if not torch.cuda.is_available():
        os.environ["ACCELERATE_USE_CPU"] = "true"  # the Trainer reads it, too: gloo instead of lone processes
    PartialState(cpu=os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true")
    return broadcast_object_list([mine])[0]


def _part() -> None:
    """End the connection to the others: its threads would abort a process that leaves with them running."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from accelerate import PartialState

        PartialState().destroy_process_group()
