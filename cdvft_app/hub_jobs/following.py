"""A run that a Job trains, followed from here: its events come into the history, its adapter at the end."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from cdvft_app.events import Done, Preparing
from cdvft_app.hub_jobs.lines import MARK, read
from cdvft_app.store.records import LeaseLost, RunRecord
from cdvft_app.store.runs import RunStore

ADAPTER = "adapter"  # in the run's folder, as training names it
EVERY = 3.0  # seconds between two looks at the Job
TELL_EVERY = 30.0  # seconds between two words of a Job that waits for its hardware
LAST_LINES = 3  # of a log, which say why a Job failed
ENDED = ("COMPLETED", "CANCELED", "ERROR", "DELETED")
CANCELLED = "The Job was cancelled. What it had learned by then is lost with it."


class JobsApi(Protocol):
    """What of `huggingface_hub.HfApi` is used here."""

    def inspect_job(self, *, job_id: str, namespace: str | None = None) -> Any: ...
    def fetch_job_logs(self, *, job_id: str, namespace: str | None = None) -> Iterable[str]: ...
    def cancel_job(self, *, job_id: str, namespace: str | None = None) -> None: ...
    def snapshot_download(self, repo_id: str, *, local_dir: Path) -> Any: ...


@dataclass(frozen=True)
class SentJob:
    """A Job that was begun, on the account `namespace`; `repository` takes what it learns."""

    job_id: str
    namespace: str
    repository: str


class Followed:
    """An execution, see `training/executors.py`."""

    def __init__(self, store: RunStore, run: RunRecord, api: JobsApi, job: SentJob) -> None:
        self._store, self._run, self._api, self._job = store, run, api, job
        self._of_job = {"job_id": job.job_id, "namespace": job.namespace}
        self._read, self._looked, self._told = 0, 0.0, 0.0
        self._done: Done | None = None
        self._cancelled = False
        self._reason = ""

    def wait(self, seconds: float) -> bool:
        time.sleep(seconds)
        if time.monotonic() - self._looked < EVERY:
            return False
        self._looked = time.monotonic()
        from huggingface_hub.errors import HTTPError

        with suppress(HTTPError, OSError):  # the hub does not answer now; the Job goes on
            return self._look()
        return False

    def _look(self) -> bool:
        if self._store.state(self._run.id) == "stopping":
            self._cancel()
        stage = str(getattr(self._api.inspect_job(**self._of_job).status.stage, "value", "")).upper()
        lines = [line.rstrip("\n") for line in self._api.fetch_job_logs(**self._of_job)]
        with suppress(LeaseLost):
            self._take(lines[self._read :])
            self._read = len(lines)
            if stage in ENDED:
                self._end(stage, lines)
                return True
            if self._store.state(self._run.id) == "preparing":
                self._tell(lines)
            return False
        return True

    def _tell(self, lines: list[str]) -> None:
        """Now and then what a Job says before it trains, so that it is not taken to hang."""
        if time.monotonic() - self._told > TELL_EVERY:
            self._told = time.monotonic()
            said = [line.strip() for line in lines if line.strip() and MARK not in line]
            what = f"The Job says: {said[-1][:200]}" if said else "The Job waits for its hardware"
            self._store.append(self._run.id, Preparing(what), self._run.epoch)

    def _take(self, lines: list[str]) -> None:
        for line in lines:
            event = read(line)
            if isinstance(event, Done):
                self._done = event  # the run ends once its adapter is here
            elif event is not None:
                self._store.append(self._run.id, event, self._run.epoch)

    def _end(self, stage: str, lines: list[str]) -> None:
        if stage == "COMPLETED" and self._done is not None:
            folder = self._store.folder(self._run.id) / ADAPTER
            self._api.snapshot_download(self._job.repository, local_dir=folder)
            self._store.append(self._run.id, replace(self._done, adapter_folder=folder), self._run.epoch)
        elif stage == "CANCELED" or self._cancelled:
            self._store.set_state(self._run.id, "stopped", CANCELLED, epoch=self._run.epoch)
        else:
            said = [line for line in lines if line.strip() and MARK not in line][-LAST_LINES:]
            self._reason = f"The Job ended as {stage}. " + " / ".join(said)

    def _cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._api.cancel_job(**self._of_job)

    def end(self) -> None:
        from huggingface_hub.errors import HTTPError

        with suppress(HTTPError, OSError):
            self._cancel()

    def reason(self) -> str:
        return self._reason or "The Job ended and told nothing."
