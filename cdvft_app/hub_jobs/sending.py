"""Begins a Job on somebody's account: the repository for what it learns, the code, the script."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdvft_app.catalog import Plan
from cdvft_app.hub_jobs.following import SentJob
from cdvft_app.hub_jobs.script import CODE, SCRIPT, pack_code, write_script
from cdvft_app.results import hub
from cdvft_app.results.errors import ResultsError
from cdvft_app.settings import InvalidChoice

LABELS = {"made-by": "cdvft-studio"}
MOST_MINUTES = 24 * 60


@dataclass(frozen=True)
class Hardware:
    """A flavor of Jobs; dollars a minute."""

    flavor: str
    title: str
    dollars: float

    def most(self, minutes: int) -> str:
        """What a Job of so many minutes costs at most, in words."""
        hour, most = 60 * self.dollars, minutes * self.dollars
        return f"{self.title}: {hour:.2f} dollars an hour, at most {most:.2f} for {minutes} minutes"


def hardware(api: Any, flavor: str) -> Hardware:
    """The flavor of this name, with its price of today.

    Raises:
        InvalidChoice: there is none.
    """
    found = {one.name: one for one in api.list_jobs_hardware()}
    if flavor not in found:
        raise InvalidChoice(f"flavor: got {flavor[:40]!r}; there are {', '.join(found)}.")
    one = found[flavor]
    return Hardware(flavor, one.pretty_name, one.unit_cost_usd / (60 if one.unit_label == "hour" else 1))


def check(plan: Plan, repository: str, minutes: int, token: str) -> None:
    """Refuse what no Job can do, before anything is made.

    Raises:
        InvalidChoice, ResultsError: with a sentence.
    """
    if plan.settings.data is not None or plan.model.source == "local":
        raise InvalidChoice("data: a Job fetches model and data itself; those of one's own are only here.")
    if not 1 <= minutes <= MOST_MINUTES:
        raise InvalidChoice(f"minutes: got {minutes}; a Job may take 1 to {MOST_MINUTES}.")
    hub.check(repository, token)


def send(api: Any, plan: Plan, repository: str, *, flavor: str, minutes: int, token: str) -> SentJob:
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
            script, code = Path(folder, SCRIPT), Path(folder, CODE)
            script.write_text(write_script(plan.settings, plan.title, repository), encoding="utf-8")
            pack_code(code)
            api.create_repo(repository, private=True)
            api.upload_file(path_or_fileobj=code, path_in_repo=CODE, repo_id=repository)
            job = api.run_uv_job(
                str(script),
                flavor=flavor,
                timeout=f"{minutes}m",
                secrets={"HF_TOKEN": token},
                labels=LABELS,
            )
    # Nothing of the request may follow an error to wherever it is written: it carries the token.
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status == 402:
            raise ResultsError(
                "The account has no credit for Jobs; add some in its billing settings."
            ) from None
        raise ResultsError(hub.refusal(repository, status)) from None
    except (HTTPError, OSError):
        raise ResultsError("The hub cannot be reached from here, so no Job was begun.") from None
    return SentJob(job.id, job.owner.name, repository)
