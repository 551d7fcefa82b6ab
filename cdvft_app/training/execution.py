"""One run from `preparing` to its end: its events go to the store, and every way to fail is a state."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from cdvft_app.events import Done, Event, Halt, TrainingFailed, TrainingPaused, TrainingStopped
from cdvft_app.settings import RunSettings
from cdvft_app.store.database import is_full
from cdvft_app.store.records import LeaseLost, RunRecord, StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import RunState
from cdvft_app.training.schedule import processes

TRAINER = "cdvft_app.training.trainer:train"
"""A `Train` by its name, so that whoever hands it on need not import torch."""
ERROR_FILE = "error.txt"  # in the run's folder: the traceback behind the reason
OUT_OF_MEMORY = (
    "This machine ran out of memory. Lower the batch size, or the length or size of the inputs, "
    "or choose a smaller model; then start again."
)
DISK_FULL = "The disk is full. As soon as there is room, Resume goes on from the last checkpoint."
READ_ONLY = "The disk cannot be written any more. As soon as it can, Resume goes on from the last checkpoint."
OTHER_ENDED = (
    "One of the processes that shared this run ended, most likely because memory ran out. Lower the batch "
    "size, or the length or size of the inputs; Resume goes on from the last checkpoint."
)


class Train(Protocol):
    """`cdvft_app.training.trainer.train`, or what stands in for it."""

    def __call__(
        self,
        settings: RunSettings,
        emit: Callable[[Event], None],
        should_stop: Callable[[], Halt],
        folder: Path,
        resume: bool = False,
    ) -> Done: ...


def execute(
    store: RunStore,
    run: RunRecord,
    train: Train,
    should_stop: Callable[[], Halt],
    listen: Callable[[Event], None] = lambda event: None,
) -> None:
    """Train a run, in this process, as long as its lease is the one that `run` was given out with.

    Args:
        store: hears every event, and says whether somebody asked the run to stop.
        run: in state `preparing`; one that has made steps before goes on from its last checkpoint.
        train: does the work.
        should_stop: a further reason to stop or to pause, beside the store's.
        listen: hears every event after the store.

    Raises:
        StoreError: the outcome cannot be kept; the run's state is not final.
        TrainingPaused: `should_stop` said PAUSE; the caller says what the run's state is now.
        KeyboardInterrupt: passed on; the run is `interrupted`.
    """
    folder, lost = store.folder(run.id), False

    def emit(event: Event) -> None:
        nonlocal lost
        try:
            store.append(run.id, event, run.epoch)
        except LeaseLost:  # what is left to do is to keep a checkpoint
            lost = True
        else:
            listen(event)

    def halt() -> Halt:
        if lost:
            return Halt.PAUSE
        return should_stop() or (Halt.STOP if store.state(run.id) == "stopping" else Halt.NO)

    def end(state: RunState, why: str) -> None:
        with suppress(LeaseLost):
            store.set_state(run.id, state, why, epoch=run.epoch)

    try:
        store.make_folder(run.id)
        (folder / ERROR_FILE).unlink(missing_ok=True)
        train(run.settings, emit, halt, folder, resume=run.step > 0)
    except TrainingStopped:
        end("stopped", "Stopped before the first step.")
    except TrainingPaused:
        if not lost:
            raise
    except KeyboardInterrupt:
        end("interrupted", "Interrupted before it could end properly.")
        raise
    except BaseException as error:
        # Also SystemExit: a library that wants to leave must not take the run's end along.
        with suppress(OSError):  # the reason matters more
            (folder / ERROR_FILE).write_text("".join(traceback.format_exception(error)))
        end("failed", reason(error))


def reason(error: BaseException) -> str:
    """What a run's end by this error is called, in a sentence for its owner."""
    if isinstance(error, TrainingFailed | StoreError):
        return str(error)
    if is_full(error):
        return DISK_FULL
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        return READ_ONLY
    if isinstance(error, MemoryError):
        return OUT_OF_MEMORY
    message = " ".join(str(error).split())[:300] or "no message"
    if processes() > 1 and any(name in message for name in ("gloo", "NCCL")):  # what connects them
        return OTHER_ENDED
    return f"Training ended unexpectedly with {type(error).__name__}: {message}"
