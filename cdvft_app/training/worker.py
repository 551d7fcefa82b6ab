"""The process of one run: trains the run that it was started for, and writes its events to the store.

python -m cdvft_app.training.worker ARGUMENTS   # JSON of `work`'s; `accelerate launch` starts several
"""

from __future__ import annotations

import json
import os
import pkgutil
import signal
import sys
import time
from contextlib import suppress
from typing import Any

from cdvft_app.events import Halt, TrainingPaused
from cdvft_app.public.budget import Budget
from cdvft_app.store.processes import alive, this_process
from cdvft_app.store.records import RunRecord, StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import RunState
from cdvft_app.training import data_parallel
from cdvft_app.training.execution import TRAINER, execute
from cdvft_app.training.limits import out_of_time
from cdvft_app.training.patience import patience

LOOK_SECONDS = 1.0  # between two looks at what a visitor has left
SPARE_SECONDS = 30  # beyond the patience of the supervisor, who can say why
PROGRAM_ENDED = "The program ended while this run was training. Resume goes on from its last checkpoint."


def work(root: str, run_id: str, limit: float | None = None, trainer: str = TRAINER) -> None:
    """Train the run, which a supervisor has claimed, to its end.

    Args:
        root: the store's folder.
        run_id: in state `preparing`.
        limit: seconds after which it fails, with a checkpoint.
        trainer: a `Train` by its name, "module:function".

    Raises:
        StoreError: the outcome cannot be kept.
    """
    os.environ["RUNS_DIR"] = root  # data of one's own lies there
    store = RunStore(root)
    run = store.get(run_id)
    assert run is not None
    store.leases.join(run.id, run.epoch, this_process())
    halts = Halts(store, run, limit)
    data_parallel.lead(run, store.folder(run.id))
    try:
        execute(store, run, pkgutil.resolve_name(trainer), halts)
    except TrainingPaused:
        with suppress(StoreError):  # whoever saw this run's supervisor die may have said so already
            store.set_state(run.id, *halts.outcome, epoch=run.epoch)
    data_parallel.disconnect()


class Halts:
    """The reasons to pause that a process can see by itself; asked at every step.

    Whoever does not ask for too long hangs, perhaps in native code where no signal handler of Python's runs,
    and perhaps with nobody left who watches: the system ends it.
    """

    def __init__(self, store: RunStore, run: RunRecord, limit: float | None) -> None:
        self.outcome: tuple[RunState, str] = ("interrupted", PROGRAM_ENDED)
        self._budget, self._visitor = Budget(store), run.visitor
        self._next_look = 0.0  # time.monotonic()
        self._supervisor = run.process
        self._limit = limit
        self._since = time.monotonic()
        self._patience = round(patience(run.forecast)) + SPARE_SECONDS
        self._terminated = False
        signal.signal(signal.SIGTERM, self._on_signal)

    def __call__(self) -> Halt:
        if hasattr(signal, "alarm"):
            signal.alarm(self._patience)
        if self._limit is not None and time.monotonic() - self._since > self._limit:
            self.outcome = ("failed", out_of_time(self._limit))
            return Halt.PAUSE
        if refused := self._over_budget():
            self.outcome = ("failed", f"{refused} Resume goes on from the last checkpoint.")
            return Halt.PAUSE
        return Halt.PAUSE if self._terminated or alive(self._supervisor) is False else Halt.NO

    def _over_budget(self) -> str | None:
        """Why its visitor's runs, which share what is left if they train at the same time, may not go on."""
        now = time.monotonic()
        if self._visitor is None or now < self._next_look:
            return None
        self._next_look = now + LOOK_SECONDS
        return self._budget.exhausted(self._visitor)

    def _on_signal(self, number: int, frame: Any) -> None:
        self._terminated = True


def main(root: str, run_id: str, limit: float | None, trainer: str) -> None:
    if data_parallel.rank() == 0:
        work(root, run_id, limit, trainer)
    else:
        os.environ["RUNS_DIR"] = root
        data_parallel.follow(lambda: Halt.NO, trainer)


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))
