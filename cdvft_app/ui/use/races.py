"""The races that can be used, and the names of them and their runs on the tab."""

from __future__ import annotations

from datetime import datetime

from cdvft_app.catalog.sources import to_fetch
from cdvft_app.errors import UserError
from cdvft_app.results.answering import MAX_RUNS
from cdvft_app.results.finished_run import FinishedRun, ResultsError, find
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore

MAX_RACES = 30


def opened(store: RunStore, group_id: object) -> list[FinishedRun]:
    """Return the runs of a race that can be used; none where there is no such race."""
    return usable(store, store.group(group_id))


def require(store: RunStore, group_id: object) -> list[FinishedRun]:
    """Return the runs of a race that can be used.

    Raises:
        ResultsError: there is no such race any more.
    """
    if runs := opened(store, group_id):
        return runs
    raise ResultsError("This race is no longer there; choose another one.")


def usable(store: RunStore, records: list[RunRecord]) -> list[FinishedRun]:
    """Return a race's runs that kept an adapter, at most as many as are asked at once."""
    found = []
    for record in records:
        try:
            found.append(find(store, record.id))
        except UserError:
            continue
    return found[:MAX_RUNS]


def choices(store: RunStore) -> list[tuple[str, str]]:
    """The latest races with something to use, and the recorded one: what each is called, and its group."""
    races = [usable(store, records) for records in [*store.groups(MAX_RACES, sweeps=False), store.recorded()]]
    return [(_title(runs), runs[0].record.group_id) for runs in races if runs]


def _title(runs: list[FinishedRun]) -> str:
    first = runs[0].record
    when = "recorded %d %B %Y" if first.recorded else "%d %b %H:%M"
    methods = ", ".join(run.label for run in runs)
    return f"{first.name} · {datetime.fromtimestamp(first.created):{when}} · {methods}"


def first_needs(run: FinishedRun) -> str:
    """Return a sentence on what the first question has to wait for; empty where all is here."""
    what = to_fetch(run.plan.model)
    return f"The first question fetches {what}, once." if what else ""


def first_run(run_ids: str) -> str:
    """Return the first id in an address's `run`."""
    return run_ids.partition(",")[0]


def race_of_run(store: RunStore, run_id: str) -> str | None:
    """Return the race of a run; None where there is no such run."""
    record = store.get(run_id)
    return record.group_id if record else None
