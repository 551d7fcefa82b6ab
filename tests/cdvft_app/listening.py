"""A run that tells what it does, for the tests of the trainer."""

from __future__ import annotations

from pathlib import Path

from cdvft_app.catalog import Plan
from cdvft_app.catalog.dataset_readers import Rows
from cdvft_app.events import Done, Step
from cdvft_app.results.finished_run import FinishedRun
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.training import trainer

TOTAL = 16  # 60 rows in batches of 8, twice


class Listener(list):
    """Keeps events; `stop_after` makes `should_stop` true once that step was heard."""

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__()
        self.stop_after = stop_after

    def of(self, kind: type) -> list:
        return [event for event in self if isinstance(event, kind)]

    def should_stop(self) -> bool:
        return self.stop_after is not None and any(step.step >= self.stop_after for step in self.of(Step))

    def losses(self) -> dict[int, float]:
        return {step.step: step.loss for step in self.of(Step)}


def run(plan, rows, folder, *, resume: bool = False, stop_after: int | None = None) -> tuple[Listener, Done]:
    heard = Listener(stop_after)
    return heard, trainer.train_plan(plan, heard.append, heard.should_stop, folder, resume, rows=rows)


def finished(store: RunStore, made: RunRecord, plan: Plan, rows: Rows) -> FinishedRun:
    """A run of the store, trained, with its events kept as the app does, as it is found afterwards."""
    folder: Path = store.make_folder(made.id)
    for event in run(plan, rows, folder)[0]:
        store.append(made.id, event)
    record = store.get(made.id)
    assert record is not None and record.state == "finished"
    return FinishedRun(record, plan, folder / "adapter")
