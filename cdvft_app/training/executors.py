"""Where a run trains: in a process of its own, or in several that `accelerate launch` starts.

The contract is one for all. A run that somebody claimed is in state `preparing`; an executor starts work on
it and gives an `Execution` to watch. Settings, folder, lease and checkpoints are in the store, under the
run's id, and every event goes there; so does the outcome, unless the work ends before it can say.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import psutil

from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.training.children import KILLED, Child, exit_sentence
from cdvft_app.training.data_parallel import launcher
from cdvft_app.training.execution import TRAINER
from cdvft_app.training.schedule import planned_processes
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


def launched(
    store: RunStore,
    run: RunRecord,
    limit: float | None = None,
    trainer: str = TRAINER,
    *,
    processes: int,
) -> Execution:
    """Train in several processes, on as many GPUs, or on the CPU where there is none."""
    arguments = json.dumps([str(store.root), run.id, limit, trainer])
    return Launched([*launcher(processes), work.__module__, arguments])


def as_planned(
    store: RunStore, run: RunRecord, limit: float | None = None, trainer: str = TRAINER
) -> Execution:
    """Train in as many processes as the run's settings and CDVFT_PROCESSES say."""
    many = planned_processes(run.settings)
    if many == 1:
        return own_process(store, run, limit, trainer)
    return launched(store, run, limit, trainer, processes=many)


class Launched:
    """A launcher and the processes that it starts."""

    def __init__(self, command: list[str]) -> None:
        self._stderr = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 (as long as it)
        self._launcher = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._stderr,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # a terminal's Ctrl-C is for the page, which ends its own
        )
        self._started: set[psutil.Process] = set()

    def wait(self, seconds: float) -> bool:
        with suppress(psutil.Error):
            self._started.update(psutil.Process(self._launcher.pid).children(recursive=True))
        with suppress(subprocess.TimeoutExpired):
            self._launcher.wait(seconds)
            self.end()  # a launcher that was killed leaves its processes behind
            return True
        return False

    def end(self) -> None:
        with suppress(psutil.Error):
            self._started.update(psutil.Process(self._launcher.pid).children(recursive=True))
        self._launcher.kill()
        for one in self._started:
            with suppress(psutil.Error):
                one.kill()
        self._launcher.wait()
        psutil.wait_procs(list(self._started), timeout=5)  # longer only where nobody reaps them

    def reason(self) -> str:
        self._stderr.seek(0)
        if "SIGKILL" in self._stderr.read():  # of one of the processes, as torch's launcher tells it
            return KILLED
        return exit_sentence(self._launcher.returncode)
