"""`cdvft send`: one run as a Hugging Face Job, and its way back into the history."""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

from cdvft_app import catalog
from cdvft_app.catalog.hub import endpoint, pin_dataset_commit
from cdvft_app.commands import STOPPED, exit_code
from cdvft_app.commands.options import hub_token, with_settings
from cdvft_app.executors import hub_jobs as executor
from cdvft_app.executors.hub_hardware import hardware, known_offers
from cdvft_app.executors.hub_jobs import HubJobs, JobOrder
from cdvft_app.executors.queue import run_elsewhere
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.results.hub import check
from cdvft_app.settings import RunSettings
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore

Flavor = Annotated[str, typer.Option(help="Hardware, such as t4-small or a10g-large.")]
Minutes = Annotated[int, typer.Option(help="Minutes after which the Hub ends the Job.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before spending money.")]


@with_settings
def send(
    settings: RunSettings,
    *,
    repository: Annotated[str, typer.Option(help="Hub repository for the adapter, owner/name.")],
    flavor: Flavor = "t4-small",
    minutes: Minutes = 30,
    yes: Yes = False,
) -> None:
    """Train as a Hugging Face Job on your account. Ctrl-C cancels it.

    The Job gets your token: HF_TOKEN, or the one of `hf auth login`.
    """
    from huggingface_hub import HfApi

    plan, token = catalog.resolve(pin_dataset_commit(settings)), _token()
    order = JobOrder(plan, repository, flavor, minutes, token)
    order.check()
    typer.echo(hardware(known_offers(), flavor).most(minutes), err=True)
    if not (yes or typer.confirm("Start it?", err=True)):
        raise typer.Exit(STOPPED)
    api = HfApi(endpoint=endpoint(), token=token)
    job = executor.send(api, order)
    typer.echo(f"{job.job_address}", err=True)
    store = RunStore.default()
    (run,) = store.create([plan.settings], None, plan.title, this_process())
    store.append(run.id, job, run.epoch)
    _follow(store, run, HubJobs(api))


def follow(run_id: str) -> NoReturn:
    """Follow a Job to its end that continued when `send` ended."""
    from huggingface_hub import HfApi

    store = RunStore.default()
    left = store.require(run_id)
    left.require_left_job()
    token = _token()
    check(left.result["repository"], token)  # without an answer it would be asked for ever
    jobs = HubJobs(HfApi(endpoint=endpoint(), token=token))
    _follow(store, store.leases.acquire(run_id, this_process()), jobs)


def _follow(store: RunStore, run: RunRecord, jobs: HubJobs) -> NoReturn:
    (ended,) = run_elsewhere(store, [lambda store: run], jobs)
    print(f"{ended.state} after {ended.step} steps; run {ended.id}. {ended.reason or ''}".strip())
    raise typer.Exit(exit_code(ended.state))


def _token() -> str:
    """Return the token of the account; ResultsError where there is none."""
    if token := hub_token():
        return token
    raise ResultsError("No token found. Set HF_TOKEN to a token that may start Jobs, or run `hf auth login`.")
