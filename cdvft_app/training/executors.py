"""Where a run trains: in a process of its own, or in several that `accelerate launch` starts.

The contract is one for all. A run that somebody claimed is in state `preparing`; an executor starts work on
it and gives an `Execution` to watch. Settings, folder, lease and checkpoints are in the store, under the
run's id, and every event goes there; so does the outcome, unless the work ends before it can say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.training.children import Child
from cdvft_app.training.execution import TRAINER
from cdvft_app.training.worker import work


class Execution(Protocol):
    """Work on one run, somewhere."""

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, after waiting up to so many seconds."""
        ...

    def end(self) -> None:
        """End it at once, whatever it does; returns when it is gone."""
        ...

    def reason(self) -> str:
        """Why it ended without an outcome in the store, in a sentence for the run's owner."""
        ...


Executor = Callable[[RunStore, RunRecord, float | None], Execution]
"""Starts work on a claimed run, which pauses itself after so many seconds, if any."""


def own_process(
    store: RunStore, run: RunRecord, limit: float | None = None, trainer: str = TRAINER
) -> Execution:
    """Train in a child process."""
    return Child(work, str(store.root), run.id, limit, trainer)
