"""Begins a Job on somebody's account: the repository for what it learns, the code, the script."""

from __future__ import annotations

import tempfile
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cdvft_app.catalog import Plan
from cdvft_app.events import Sent
from cdvft_app.hub_jobs.following import Followed
from cdvft_app.hub_jobs.hardware import check_minutes
from cdvft_app.hub_jobs.script import CODE, SCRIPT, write_job
from cdvft_app.results import hub
from cdvft_app.results.errors import ResultsError
from cdvft_app.settings import InvalidChoice
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore

LABELS = {"made-by": "cdvft-studio"}
IMAGE = "ghcr.io/astral-sh/uv:python3.12-bookworm"  # that of `hf jobs uv run`
# In the Job's environment and not in a bucket, as `run_uv_job` would have it: a login by which an app may
# write to what it made cannot write to a bucket that another one made.
ENCODED = "STUDIO_SCRIPT"
COMMAND = ["sh", "-c", f'printf %s "${ENCODED}" | base64 -d > {SCRIPT} && exec uv run {SCRIPT}']


def check(plan: Plan, repository: str, minutes: int, token: str) -> None:
    """Refuse what no Job can do, before anything is made.

    Raises:
        InvalidChoice, ResultsError: with a sentence.
    """
    if plan.settings.data is not None or plan.model.source == "local":
        raise InvalidChoice("data: a Job fetches model and data itself; those of one's own are only here.")
    check_minutes(minutes)
    hub.check(repository, token)


def send(api: Any, plan: Plan, repository: str, *, flavor: str, minutes: int, token: str) -> Sent:
    """Begin it. The token is given to the Job as a secret, and kept nowhere.

    Args:
        api: `huggingface_hub.HfApi` with the token.
        plan: of the run.
        repository: owner/name, which is made, private; the Job may write to it.
        flavor: of the hardware.
        minutes: after which the hub ends it.
        token: with the right to start Jobs and to write to what it made.

    Raises:
        ResultsError: the hub refused it; what, and what to do.
    """
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    try:
        with tempfile.TemporaryDirectory() as folder:
            job_folder = Path(folder, "job")
            script = write_job(job_folder, plan, repository)
            api.create_repo(repository, private=True)
            api.upload_file(path_or_fileobj=job_folder / CODE, path_in_repo=CODE, repo_id=repository)
        job = api.run_job(
            image=IMAGE,
            command=COMMAND,
            env={ENCODED: b64encode(script.encode()).decode()},
            flavor=flavor,
            timeout=f"{minutes}m",
            secrets={"HF_TOKEN": token},
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


def sender(
    api: Any, plan: Plan, repository: str, *, flavor: str, minutes: int, token: str
) -> Callable[[RunStore, RunRecord, float | None], Followed]:
    """An executor that sends a run and follows it, see `training/executors.py`."""

    def begin(store: RunStore, run: RunRecord, limit: float | None = None) -> Followed:
        sent = send(api, plan, repository, flavor=flavor, minutes=minutes, token=token)
        store.append(run.id, sent, run.epoch)
        return Followed(store, run, api, sent)

    return begin
