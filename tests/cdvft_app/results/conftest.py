from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_models
from listening import finished

from cdvft_app.catalog import ModelEntry, Plan, get_model, offline
from cdvft_app.catalog.dataset_readers import Rows, Split
from cdvft_app.results import answering
from cdvft_app.results.answering import Questions
from cdvft_app.results.exporters import EXPORTERS, Export
from cdvft_app.results.finished_run import FinishedRun
from cdvft_app.store.runs import RunStore

TOKEN = "the visitor's own"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory):
    made = RunStore(tmp_path_factory.mktemp("runs"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def hub_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hub client's cache with MiniLM, which cards and scripts fetch from there."""
    folder = tmp_path_factory.mktemp("hub")
    name, revision = get_model("minilm").base(None)
    assert name and revision
    snapshot = folder / f"models--{name.replace('/', '--')}" / "snapshots" / revision
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(offline.ensure("minilm"))
    return folder


@pytest.fixture(scope="session")
def trained(store: RunStore) -> Callable[[Plan, Rows], FinishedRun]:
    """Train a plan, keep its events as the app does, and give the run as it is found afterwards."""

    def make(plan: Plan, rows: Rows) -> FinishedRun:
        (made,) = store.create([plan.settings], TOKEN, "Films", "1:1")
        return finished(store, made, plan, rows)

    return make


class OfNoHub(ModelEntry):
    """A model that nobody else can fetch."""

    def base(self, commit: str | None) -> tuple[None, None]:
        return None, None


@pytest.fixture(scope="session")
def planned(request: pytest.FixtureRequest, roberta_folder: Path) -> Callable[..., tuple[Plan, Rows]]:
    """`planned(kind, method, **settings)`: a plan and its rows; for images, on a model of no hub."""

    def paired(split):
        return dataclasses.replace(split, inputs=[(one, "fine") for one in split.inputs])

    def make(kind: str, method: str, **chosen: object) -> tuple[Plan, Rows]:
        name = "text" if kind in ("first token", "pair") else kind
        plan, rows = (request.getfixturevalue(f"{name}_{what}") for what in ("plan", "rows"))
        plan = plan(method, **chosen)
        if kind == "first token":
            model = get_model("roberta_base")
            model = dataclasses.replace(model, source="local", location=str(roberta_folder))
            plan = dataclasses.replace(plan, model=model)
        if kind == "image":
            plan = dataclasses.replace(plan, model=OfNoHub(**vars(plan.model)))
        if kind == "pair":
            dataset = dataclasses.replace(plan.dataset, text_columns=("text", "second"))
            plan = dataclasses.replace(plan, dataset=dataset)
            rows = dataclasses.replace(rows, train=paired(rows.train), evaluation=paired(rows.evaluation))
        return plan, rows

    return make


@pytest.fixture(scope="session")
def few_answers(answer_rows: Rows) -> Rows:
    """With three to evaluate on: they are written word by word."""
    few = Split(answer_rows.evaluation.inputs[:3], answer_rows.evaluation.labels[:3])
    return dataclasses.replace(answer_rows, evaluation=few)


@pytest.fixture(scope="session")
def runs(planned, trained, few_answers) -> Callable[[str, str], FinishedRun]:
    """`runs(kind, method)`: a run of four steps, trained once."""

    @functools.cache
    def run(kind: str, method: str) -> FinishedRun:
        rate = 0.005 if (kind, method) == ("answer", "full") else 0.1
        plan, rows = planned(kind, method, max_steps=4, learning_rate=rate)
        return trained(plan, few_answers if kind == "answer" else rows)

    return run


@pytest.fixture(scope="session")
def of_gpt2(trained, answer_plan, few_answers, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A run on a model whose table of positions ends where its longest text does."""
    folder = tiny_models.causal(tmp_path_factory.mktemp("gpt2"), "gpt2")
    how = {"max_length": 256, "max_steps": 2, "learning_rate": 1e-6, "precision": "float32"}
    return trained(answer_plan("full", folder, **how), few_answers)


@pytest.fixture(scope="session")
def learned(trained, answer_plan, answer_rows) -> FinishedRun:
    """A run that trained every number of the model that writes, until it knew the task."""
    return trained(answer_plan("full", epochs=12.0, learning_rate=5e-3), answer_rows)


@pytest.fixture
def answered_here(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Questions]:
    """`answered_here(run, ...)`: what can be asked about these runs, as if the store had found them."""

    def make(*of: FinishedRun) -> Questions:
        found = {run.record.id: run for run in of}
        monkeypatch.setattr(answering, "find", lambda store, run_id: found[run_id])
        return Questions(store)

    return make


@pytest.fixture
def exported(store: RunStore, tmp_path: Path) -> Callable[..., Path]:
    """`exported(run, form)`: the folder that it is written into."""

    def write(run: FinishedRun, form: str, rank: int = 2, rows: Rows | None = None) -> Path:
        EXPORTERS[form].write_folder(Export(store, run, rank, rows), tmp_path / form)
        return tmp_path / form

    return write
