"""A run that a Job trains, followed from here: its events come into the history, its adapter at the end."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import fields, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Protocol

from cdvft_app.events import Done, Note, Preparing, Sent
from cdvft_app.hub_jobs.lines import MARK, read
from cdvft_app.store.records import LeaseLost, RunRecord
from cdvft_app.store.runs import RunStore

ADAPTER = "adapter"  # in the run's folder, as training names it
EVERY = 3.0  # seconds between two looks at the Job
TELL_EVERY = 30.0  # seconds between two words of a Job that waits for its hardware
MAX_EVENTS = 100_000  # of a log, which whoever has the Job could fill with anything
LAST_LINES = 3  # of a log, which say why a Job failed
MAX_REFUSALS = 3
FILES = ("*.safetensors", "*.json", "*.md", "*.txt", "*.jinja")  # nothing that is unpickled or run
MAX_BYTES = 2 * 10**9
ENDED = ("COMPLETED", "CANCELED", "ERROR", "DELETED")
CANCELLED = "The Job was cancelled. What it had learned by then is lost with it."


class Repositories(Protocol):
    """What of `huggingface_hub.HfApi` is used here."""

    def list_repo_tree(self, repo_id: str, *, recursive: bool) -> Iterable[Any]: ...
    def snapshot_download(self, repo_id: str, *, local_dir: Path, allow_patterns: list[str]) -> Any: ...


class JobsApi(Repositories, Protocol):
    """What of `huggingface_hub.HfApi` is used here."""

    def inspect_job(self, *, job_id: str, namespace: str | None = None) -> Any: ...
    def fetch_job_logs(self, *, job_id: str, namespace: str | None = None) -> Iterable[str]: ...
    def cancel_job(self, *, job_id: str, namespace: str | None = None) -> None: ...


class Followed:
    """An execution, see `training/executors.py`."""

    def __init__(self, store: RunStore, run: RunRecord, api: JobsApi, job: Sent) -> None:
        self._store, self._run, self._api, self._job = store, run, api, job
        self._of_job = {"job_id": job.job_id, "namespace": job.account}
        self._read, self._refusals, self._looked, self._told = 0, 0, 0.0, 0.0
        self._events = 0
        self._done: Done | None = None
        self._cancelled = False
        self._reason = ""

    def wait(self, seconds: float) -> bool:
        time.sleep(seconds)
        if time.monotonic() - self._looked < EVERY:
            return False
        self._looked = time.monotonic()
        from huggingface_hub.errors import HfHubHTTPError, HTTPError

        try:
            return self._look()
        except HfHubHTTPError as error:
            return self._refused(error.response.status_code)
        except (HTTPError, OSError):  # the hub does not answer now; the Job goes on
            return False

    def _refused(self, status: int) -> bool:
        """Whether it is given up to follow: the hub said more than once that it tells nothing more."""
        self._refusals = self._refusals + 1 if status in (401, 403, 404) else 0
        if self._refusals < MAX_REFUSALS:
            return False
        with suppress(LeaseLost):
            said = f"The hub tells no more of this Job (it answers {status}). {left(self._job)}"
            self._store.set_state(self._run.id, "interrupted", said, epoch=self._run.epoch)
        return True

    def _look(self) -> bool:
        if self._store.state(self._run.id) == "stopping":
            self._cancel()
        stage = str(self._api.inspect_job(**self._of_job).status.stage)
        self._refusals = 0
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
            if event is not None and not isinstance(event, Done):
                self._events += 1
                if self._events > MAX_EVENTS:
                    continue
            if isinstance(event, Done):
                self._done = event  # the run ends once its adapter is here
            elif event is not None:
                self._store.append(self._run.id, event, self._run.epoch)

    def _end(self, stage: str, lines: list[str]) -> None:
        if stage == "COMPLETED" and self._done is not None:
            folder = self._store.folder(self._run.id) / ADAPTER
            if refused := fetch_adapter(self._api, self._job.repository, folder):
                self._store.append(self._run.id, Note(refused, "warning"), self._run.epoch)
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


def follower(api: JobsApi) -> Callable[[RunStore, RunRecord, float | None], Followed]:
    """An executor that follows a Job again, see `training/executors.py`: its log still has all it told."""

    def begin(store: RunStore, run: RunRecord, limit: float | None = None) -> Followed:
        return Followed(store, run, api, Sent(**{one.name: run.result[one.name] for one in fields(Sent)}))

    return begin


def left(job: Sent) -> str:
    """Where a Job is found that is not followed here any more."""
    return f"The Job itself goes on: {job.job_address}; its adapter comes to {job.repository}."


def fetch_adapter(api: Repositories, repository: str, folder: Path) -> str | None:
    """Put the files of what a Job learned into the folder; None, or a sentence why none is taken.

    They are somebody else's, so that only some are.
    """
    sizes = [
        one.size
        for one in api.list_repo_tree(repository, recursive=True)
        if hasattr(one, "size") and any(fnmatch(one.path, pattern) for pattern in FILES)
    ]
    if sum(sizes) > MAX_BYTES:
        return (
            f"What was learned has {sum(sizes) / 1e9:.1f} GB, more than the {MAX_BYTES / 1e9:g} GB that are "
            f"taken back here; it is in {repository}."
        )
    api.snapshot_download(repository, local_dir=folder, allow_patterns=[*FILES])
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the hub client's own notes
    return None
