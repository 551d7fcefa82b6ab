"""Runs as Jobs of the Hugging Face hub, on somebody's account there: begun, followed, and brought back."""

from __future__ import annotations

import shutil
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cdvft_app.catalog import Plan
from cdvft_app.events import ADAPTER, Event, Note, Sent
from cdvft_app.executors.base import (
    Executor,
    NoNews,
    Pulled,
    RemoteExecution,
    RemoteRefused,
)
from cdvft_app.executors.hub_hardware import check_minutes
from cdvft_app.executors.hub_script import CODE, EVENT_PREFIX, SCRIPT, read_event, write_job
from cdvft_app.results import hub
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.settings import InvalidChoice
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CANCELLED = "The Job was cancelled. What it had learned by then is lost with it."
LAST_LINES = 3  # of a log, which say why a Job failed
FILES = ("*.safetensors", "*.json", "*.md", "*.txt", "*.jinja")  # nothing that is unpickled or run
MAX_BYTES = 2 * 10**9
ENDS: dict[str, Literal["completed", "cancelled", "failed"]] = {
    "COMPLETED": "completed",
    "CANCELED": "cancelled",
    "ERROR": "failed",
    "DELETED": "failed",
}
LABELS = {"made-by": "cdvft-studio"}
IMAGE = "ghcr.io/astral-sh/uv:python3.12-bookworm"  # that of `hf jobs uv run`
# In the Job's environment and not in a bucket, as `run_uv_job` would have it: a login by which an app may
# write to what it made cannot write to a bucket that another one made.
ENCODED = "STUDIO_SCRIPT"
COMMAND = ["sh", "-c", f'printf %s "${ENCODED}" | base64 -d > {SCRIPT} && exec uv run {SCRIPT}']


@dataclass(frozen=True)
class JobOrder:
    """A Job to be begun.

    Args:
        plan: of the run.
        repository: owner/name, which is made, private; the Job may write to it.
        flavor: of the hardware.
        minutes: after which the hub ends it.
        token: with the right to start Jobs and to write to what it made.
    """

    plan: Plan
    repository: str
    flavor: str
    minutes: int
    token: str = field(repr=False)

    def check(self) -> None:
        """Refuse what no Job can do, before anything is made.

        Raises:
            InvalidChoice, ResultsError: with a sentence.
        """
        if self.plan.settings.data is not None or self.plan.model.source == "local":
            raise InvalidChoice(
                "data: a Job fetches model and data itself; those of one's own are only here."
            )
        check_minutes(self.minutes)
        hub.check(self.repository, self.token)


class HubJobs(Executor):
    """Follows runs that train as Jobs.

    Args:
        api: `huggingface_hub.HfApi` with the token of the account.
    """

    is_remote = is_owners = True

    def __init__(self, api: Any) -> None:
        self._api = api

    def start(self, store: RunStore, run: RunRecord, limit: float | None = None) -> RemoteExecution:
        result = store.require(run.id).result
        sent = Sent(**{one.name: result[one.name] for one in fields(Sent)})
        return RemoteExecution(store, run, HubJob(self._api, sent))

    def require_resumable(self, run: RunRecord) -> None:
        run.require_left_job()


class HubJob:
    """A `RemoteRun`: its events are numbered by the lines of the Job's log, which the hub keeps."""

    pull_seconds = 3.0

    def __init__(self, api: HfApi, sent: Sent) -> None:
        self._api, self._sent = api, sent
        self._named: dict[str, Any] = {"job_id": sent.job_id, "namespace": sent.account}
        self._cancelled = False

    def pull(self, after: int, into: Path) -> Pulled:
        with self._asking():
            stage = str(self._api.inspect_job(**self._named).status.stage)
            lines = [line.rstrip("\n") for line in self._api.fetch_job_logs(**self._named)]
        words = [line.strip() for line in lines if line.strip() and EVENT_PREFIX not in line]
        events: list[Event] = [
            event for line in lines[after:] if (event := read_event(line, into.parent)) is not None
        ]
        ended, files = ENDS.get(stage), list[str]()
        if ended == "completed":
            with self._asking():
                refused = fetch_adapter(self._api, self._sent.repository, into / ADAPTER)
            if refused:
                events.append(Note(refused, "warning"))
            else:
                files.append(ADAPTER)
        return Pulled(
            events=events,
            last=len(lines),
            saying=f"The Job says: {words[-1][:200]}" if words else "The Job waits for its hardware",
            files=files,
            ended=ended,
            why=CANCELLED
            if self._cancelled or ended == "cancelled"
            else f"The Job ended as {stage}. " + " / ".join(words[-LAST_LINES:]),
        )

    def cancel(self) -> None:
        with self._asking():
            self._api.cancel_job(**self._named)
        self._cancelled = True

    def release(self) -> None:
        pass

    @contextmanager
    def _asking(self) -> Iterator[None]:
        from huggingface_hub.errors import HfHubHTTPError, HTTPError

        try:
            yield
        except HfHubHTTPError as error:
            status = error.response.status_code
            if status not in (401, 403, 404):
                raise NoNews from None
            raise RemoteRefused(
                f"The hub tells no more of this Job (it answers {status}). The Job itself goes on: "
                f"{self._sent.job_address}; its adapter comes to {self._sent.repository}."
            ) from None
        except (HTTPError, OSError):  # the hub does not answer now
            raise NoNews from None


def send(api: Any, order: JobOrder) -> Sent:
    """Begin it. The token is given to the Job as a secret, and kept nowhere.

    Raises:
        ResultsError: the hub refused it; what, and what to do.
    """
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    repository = order.repository
    try:
        with tempfile.TemporaryDirectory() as folder:
            job_folder = Path(folder, "job")
            script = write_job(job_folder, order.plan, repository)
            api.create_repo(repository, private=True)
            api.upload_file(path_or_fileobj=job_folder / CODE, path_in_repo=CODE, repo_id=repository)
        job = api.run_job(
            image=IMAGE,
            command=COMMAND,
            env={ENCODED: b64encode(script.encode()).decode()},
            flavor=order.flavor,
            timeout=f"{order.minutes}m",
            secrets={"HF_TOKEN": order.token},
            name="cdvft",
            labels=LABELS,
        )
    # Nothing of the request may follow an error to wherever it is written: it carries the token.
    except HfHubHTTPError as error:
        raise ResultsError(_refusal(repository, error)) from None
    except (HTTPError, OSError):
        raise ResultsError("The hub cannot be reached from here, so no Job was begun.") from None
    return Sent(job.id, job.owner.name, repository, job.url)


def _refusal(repository: str, error: Any) -> str:
    status = error.response.status_code
    if "/api/jobs/" not in str(error.response.url):
        return hub.refusal(repository, status)
    if status == 402:
        return "The account has no credit for Jobs; add some in its billing settings."
    if status in (401, 403):
        return "This login or token may start no Jobs: sign in again and allow them, or make one that may."
    return f"The hub refused the Job (it answered {status}); {repository}, made for it, has no adapter."


def fetch_adapter(api: HfApi, repository: str, folder: Path) -> str | None:
    """Put the files of what a Job learned into the folder; None, or a sentence why none is taken.

    They are somebody else's, so that only some are.
    """
    sizes = [
        one.size
        for one in api.list_repo_tree(repository, recursive=True)
        if hasattr(one, "size") and any(fnmatch(one.path, pattern) for pattern in FILES)
    ]
    if not sizes:
        return f"What was learned is not here: {repository} has no file of an adapter."
    if sum(sizes) > MAX_BYTES:
        return (
            f"What was learned has {sum(sizes) / 1e9:.1f} GB, more than the {MAX_BYTES / 1e9:g} GB that are "
            f"taken back here; it is in {repository}."
        )
    api.snapshot_download(repository, local_dir=folder, allow_patterns=[*FILES])
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the hub client's own notes
    return None
