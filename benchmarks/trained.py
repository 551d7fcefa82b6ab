"""How benchmarks train many runs: one after the other in this process, or on a Ray cluster, where as many as
there is room for train at a time."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cdvft_app.catalog.dataset_readers import Rows
    from cdvft_app.catalog.plan import Plan
    from cdvft_app.events import Event
    from cdvft_app.judging.judge import Contestant
    from cdvft_app.settings import RunSettings
    from cdvft_app.store.predictions import Predictions, WrittenAnswers
    from cdvft_app.store.records import RunRecord
    from cdvft_app.store.runs import RunStore


@dataclass
class Trained:
    """A run that ended: its settings as they were asked for, and what it told.

    `times` are seconds from its beginning to each event, `seconds` those to its end. `failed` says why it
    has none. `node` is that of the cluster.
    """

    settings: RunSettings
    events: list[Event] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    seconds: float = 0.0
    kept: Predictions | WrittenAnswers | None = None
    failed: str = ""
    node: str = ""
    began: float = field(default_factory=time.perf_counter)

    def hear(self, event: Event) -> None:
        self.events.append(event)
        self.times.append(time.perf_counter() - self.began)

    def last(self, kind: type[Any]) -> Any:
        """The latest event of this class."""
        return next(event for event in reversed(self.events) if isinstance(event, kind))

    def rows(self) -> dict[str, Any]:
        """The number of evaluation rows and those that it got wrong, for a record."""
        if self.kept is None:
            return {}
        return {"rows": len(self.kept.rows), "wrong": self.kept.rows[~self.kept.correct].tolist()}


def contestant(label: str, recorded: Iterable[dict[str, Any]]) -> Contestant:
    """Recorded runs with their `Trained.rows`, a metric and a seed as one side of what is judged."""
    from cdvft_app.judging.judge import Contestant, Run
    from cdvft_app.judging.row_scores import of_wrong

    runs = (
        Run(one["seed"], one["metric"], one["rows"], of_wrong(one["rows"], one["wrong"])) for one in recorded
    )
    return Contestant(label, tuple(runs))


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cluster", default="", help="train on this Ray cluster: ray://host:10001 or auto")


def train_each(wanted: Sequence[RunSettings], ended: Callable[[Trained], None], cluster: str = "") -> None:
    """Train all; `ended` hears of each as it ends, on a cluster in any order.

    One that a cluster gave up is told of, and not among those: what is run again does it.
    """
    if cluster:
        _train_there(wanted, ended, cluster)
        return
    from cdvft_app.catalog import resolve

    for settings in wanted:
        ended(train_here(settings, resolve(settings)))


def train_one(settings: RunSettings) -> Trained:
    """Train one in this process.

    Raises:
        RuntimeError: it failed.
    """
    found: list[Trained] = []
    train_each([settings], found.append)
    if found[0].failed:
        raise RuntimeError(found[0].failed)
    return found[0]


def train_into(store: RunStore, settings: RunSettings) -> str:
    """Train in this process into a store, where what was learned stays; the run's id."""
    from cdvft_app.catalog import resolve
    from cdvft_app.training.trainer import train_plan

    plan = resolve(settings)
    (run,) = store.create([plan.settings], "benchmark", process="1:1")
    train_plan(plan, lambda event: store.append(run.id, event), lambda: False, store.make_folder(run.id))
    return run.id


def train_here(settings: RunSettings, plan: Plan, rows: Rows | None = None) -> Trained:
    """Train the settings' plan in this process, on `rows` in place of its dataset's where they are given."""
    from cdvft_app.events import TrainingFailed
    from cdvft_app.store import predictions
    from cdvft_app.training import trainer

    folder = Path(tempfile.mkdtemp())
    one = Trained(settings)
    try:
        trainer.train_plan(plan, one.hear, lambda: False, folder, rows=rows)
        one.kept = predictions.read_either(folder)
    except TrainingFailed as error:
        one.failed = str(error)
    finally:
        shutil.rmtree(folder)
    one.seconds = time.perf_counter() - one.began
    return one


def _train_there(wanted: Sequence[RunSettings], ended: Callable[[Trained], None], cluster: str) -> None:
    from cdvft_app.catalog import resolve
    from cdvft_app.commands.train import on_cluster
    from cdvft_app.executors.queue import run_elsewhere
    from cdvft_app.store import predictions
    from cdvft_app.store.processes import this_process
    from cdvft_app.store.records import NODE
    from cdvft_app.store.runs import RunStore

    begun: dict[str, Trained] = {}

    def take(store: RunStore, settings: RunSettings) -> RunRecord:
        (run,) = store.create([resolve(settings).settings], None, "Benchmark", this_process())
        begun[run.id] = Trained(settings)
        return run

    def keep(run: RunRecord) -> None:
        one = begun[run.id]
        if run.state not in ("finished", "failed"):
            print(f"{run.settings.method.label()}: {run.state}. {run.reason or ''}", file=sys.stderr)
            return
        one.seconds = time.perf_counter() - one.began
        one.kept, one.node = predictions.read_either(store.folder(run.id)), run.result.get(NODE, "")
        one.failed = (run.reason or "") if run.state == "failed" else ""
        ended(one)

    with tempfile.TemporaryDirectory() as folder:
        store, executor = RunStore(folder), on_cluster(cluster)
        takes = [partial(take, settings=settings) for settings in wanted]
        try:
            run_elsewhere(store, takes, executor, lambda run, event: begun[run.id].hear(event), keep)
        finally:
            executor.close()
            store.close()
