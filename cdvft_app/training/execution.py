"""One run from `preparing` to its end: its events go to the store, and every way to fail is a state."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from cdvft_app.events import Done, Event, TrainingFailed, TrainingStopped
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import RunRecord, StoreError
from cdvft_app.store.runs import RunStore

ERROR_FILE = "error.txt"  # in the run's folder: the traceback behind the reason
OUT_OF_MEMORY = (
    "This machine ran out of memory. Lower the batch size, or the length or size of the inputs, "
    "or choose a smaller model; then start again."
)


class Train(Protocol):
    """`cdvft_app.training.trainer.train`, or what stands in for it."""

    def __call__(
        self,
        settings: RunSettings,
        emit: Callable[[Event], None],
        should_stop: Callable[[], bool],
        folder: Path,
        resume: bool = False,
    ) -> Done: ...


def execute(
    store: RunStore,
    run: RunRecord,
    train: Train,
    should_stop: Callable[[], bool],
    listen: Callable[[Event], None] = lambda event: None,
) -> None:
    """Train a run that this process has claimed.

    Args:
        store: hears every event, and says whether somebody asked the run to stop.
        run: in state `preparing`; one that has made steps before goes on from its last checkpoint.
        train: does the work.
        should_stop: a further reason to stop, beside the store's.
        listen: hears every event after the store.

    Raises:
        StoreError: the outcome cannot be kept; the run's state is not final.
        KeyboardInterrupt: passed on; the run is `interrupted`.
    """
    folder = store.folder(run.id)

    def emit(event: Event) -> None:
        store.append(run.id, event)
        listen(event)

    try:
        store.make_folder(run.id)
        (folder / ERROR_FILE).unlink(missing_ok=True)
        train(
            run.settings,
            emit,
            lambda: should_stop() or store.state(run.id) == "stopping",
            folder,
            resume=run.step > 0,
        )
    except TrainingStopped:
        store.set_state(run.id, "stopped", "Stopped before the first step.")
    except KeyboardInterrupt:
        store.set_state(run.id, "interrupted", "Interrupted before it could end properly.")
        raise
    except BaseException as error:
        # Also SystemExit: a library that wants to leave must not take the queue along.
        with suppress(OSError):  # the reason matters more
            (folder / ERROR_FILE).write_text("".join(traceback.format_exception(error)))
        store.set_state(run.id, "failed", _reason(error))


def _reason(error: BaseException) -> str:
    if isinstance(error, TrainingFailed | StoreError):
        return str(error)
    if isinstance(error, MemoryError):
        return OUT_OF_MEMORY
    said = " ".join(str(error).split())[:300] or "no message"
    return f"Training ended unexpectedly with {type(error).__name__}: {said}"
