"""What every tab is built from: the store, the queue, and where the page runs."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdvft_app.catalog import Plan
from cdvft_app.prediction import Prediction, predict
from cdvft_app.store.replication import SECRET
from cdvft_app.store.runs import RunStore
from cdvft_app.training.queue import RunQueue
from cdvft_app.training.schedule import planned_processes
from cdvft_app.ui.shared.viewing import viewer

LEARNED_FROM = 200  # finished runs


@dataclass(frozen=True)
class AppState:
    """Shared by all visitors; everything that belongs to one visitor comes with each call.

    `store` finds what the visitor of the moment sees, see `viewing`.
    """

    store: RunStore
    queue: RunQueue
    secret: str

    @classmethod
    def make(cls, store: RunStore, queue: RunQueue) -> AppState:
        return cls(store.seen_by(viewer), queue, _load_secret(store.root))

    def predict(self, plans: Sequence[Plan]) -> list[Prediction | None]:
        """What is promised of each run, by what the latest ones, and measured steps, took here."""
        finished, measured = self.store.finished(LEARNED_FROM), self.store.measurements.all()
        return [predict(plan, finished, measured, planned_processes(plan.settings)) for plan in plans]


@dataclass(frozen=True)
class OnVisit:
    """What a tab does when it is first seen: `call(*inputs)` fills `outputs`; `then` gets the event."""

    call: Callable[..., Any]
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    then: Callable[[Any], None] | None = None


def _load_secret(folder: Path) -> str:
    """The key to what browsers remember. It is kept with the runs, so that a restart forgets no owner."""
    file = folder / SECRET
    if file.is_file() and not file.stat().st_size:
        file.unlink()  # its writer was killed, or its disk full
    unfinished = folder / f"{SECRET}.{secrets.token_hex(4)}"
    with os.fdopen(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as new:
        new.write(secrets.token_hex(16))
    with suppress(FileExistsError):
        os.link(unfinished, file)  # whole, and only if no other program was first
    unfinished.unlink()
    return file.read_text()
