"""What runs inside a Job: one run, told of line by line, and published at its end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cdvft_app import catalog
from cdvft_app.events import Event
from cdvft_app.hub_jobs.lines import write
from cdvft_app.results.exporters import AS_TRAINED, Export
from cdvft_app.results.finished_run import find
from cdvft_app.settings import RunSettings
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import USABLE
from cdvft_app.training.foreground import run_here

ADAPTER, RUNS = "adapter", "studio-runs"


def main(settings: dict[str, Any], repository: str | None) -> int:
    """Train, write the adapter and its card into the folder `adapter`, and upload it; 0 if all of it worked.

    HF_TOKEN must have the right to write to the repository.
    """
    here = Path.cwd()
    store = RunStore(here / RUNS)
    os.environ["RUNS_DIR"] = str(store.root)
    plan = catalog.resolve(RunSettings.model_validate(settings))

    def take(store: RunStore) -> RunRecord:
        (run,) = store.create([plan.settings], None, plan.title, this_process())
        return run

    run = run_here(store, take, tell)
    if run.reason:
        print(run.reason, flush=True)
    if run.state not in USABLE or not run.step:
        return 1
    AS_TRAINED.write_folder(Export(store, find(store, run.id)), here / ADAPTER)
    if repository is not None:
        from cdvft_app.results.hub import push

        print(push(here / ADAPTER, repository, os.environ["HF_TOKEN"], private=True), flush=True)
    return 0


def tell(event: Event) -> None:
    line = write(event)
    if line is not None:
        print(line, flush=True)
