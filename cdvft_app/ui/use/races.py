"""Which races can be used, and how the tab names them and their runs."""

from __future__ import annotations

from datetime import datetime

from cdvft_app.results.answering import MOST_RUNS
from cdvft_app.results.errors import ResultsError
from cdvft_app.results.finished_run import FinishedRun, find
from cdvft_app.store.records import RunRecord, StoreError
from cdvft_app.store.runs import RunStore

MOST_RACES = 30


def usable(store: RunStore, records: list[RunRecord]) -> list[FinishedRun]:
    """Those of a race's runs that keep what they learned, at most as many as are asked at once."""
    found = []
    for record in records:
        try:
            found.append(find(store, record.id))
        except (ResultsError, StoreError):
            continue
    return found[:MOST_RUNS]


def choices(store: RunStore) -> list[tuple[str, str]]:
    """The latest races with something to use: name, date and methods, and the group's id."""
    offered = []
    for records in store.groups(MOST_RACES, sweeps=False):
        runs = usable(store, records)
        if runs:
            first = runs[0].record
            methods = ", ".join(run.label for run in runs)
            offered.append(
                (
                    f"{first.name} · {datetime.fromtimestamp(first.created):%d %b %H:%M} · {methods}",
                    first.group_id,
                )
            )
    return offered


def asked_for(store: RunStore, run_ids: str) -> str | None:
    """The race of the first run in an address's `run`; None where there is none."""
    record = store.get(run_ids.partition(",")[0])
    return record.group_id if record else None
