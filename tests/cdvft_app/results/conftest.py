from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from listening import finished

from cdvft_app.catalog import Plan, get_model, mirror
from cdvft_app.catalog.dataset_readers import Rows
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
    snapshot.symlink_to(mirror.ensure("minilm"))
    return folder


@pytest.fixture(scope="session")
def trained(store: RunStore) -> Callable[[Plan, Rows], FinishedRun]:
    """Train a plan, keep its events as the app does, and give the run as it is found afterwards."""

    def make(plan: Plan, rows: Rows) -> FinishedRun:
        (made,) = store.create([plan.settings], TOKEN, "Films", "1:1")
        return finished(store, made, plan, rows)

    return make
