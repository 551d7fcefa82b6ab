"""A flipped bit: the store opens, the page answers, and at most one run is lost."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import run_events

from cdvft_app.executors.queue import RunQueue
from cdvft_app.settings import RunSettings
from cdvft_app.store import snapshots
from cdvft_app.store.processes import machine, this_process
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.train.first_shown import first_shown
from cdvft_app.ui.train.history import races
from cdvft_app.ui.train.run_view import Feed, poll, verdict

RUN = RunSettings(method="cdvft")
FLIPS = 200 if os.environ.get("CDVFT_FAULTS") else 24


def ended(store: RunStore, **of_run: object) -> str:
    (run,) = store.create([RUN], "secret", "race", process=f"999999999:1.00@{machine()}", **of_run)
    folder = store.folder(run.id)
    store.append(run.id, run_events.started(4))
    for step in range(1, 5):
        store.append(run.id, run_events.step(step))
        snapshots.write(folder, step, {"query/diagonal.0": np.ones(64)})
    (folder / "adapter").mkdir()
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    store.append(run.id, run_events.done(4, folder / "adapter", metric=0.7))
    return run.id


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two ended runs, one that was interrupted, and one that waits; of two visitors."""
    root = tmp_path_factory.mktemp("filled")
    store = RunStore(root)
    for visitor in ("ada", "bob"):
        ended(store, visitor=visitor)
    (cut_off,) = store.create([RUN], "other", "cut off", process=this_process(), visitor="bob")
    store.append(cut_off.id, run_events.step(1))
    store.set_state(cut_off.id, "interrupted")
    store.create([RUN], "other", "waits", forecasts=[{"whole_seconds": {"value": 2.0}}], visitor="bob")
    store.close()
    return root


def ask(question: Callable[[], object]) -> None:
    try:
        question()
    except StoreError as refused:
        assert str(refused).endswith(".")


def page_answers(store: RunStore, ids: list[str]) -> None:
    """Whatever the page asks is answered, or refused with a message."""
    app, feed = AppState.make(store, RunQueue(store)), Feed(store)
    ask(lambda: json.dumps(races(store, {"limit": 20, "token": "secret"}), allow_nan=False))
    ask(lambda: poll(store, feed, {"cursors": dict.fromkeys(ids, 0), "token": "secret"}))
    ask(lambda: json.dumps(verdict(store, {"runs": ids})))
    for run_id in ["", *ids]:
        ask(lambda run_id=run_id: first_shown(app, run_id, "secret"))
    ask(lambda: app.queue.submit([RUN], "new", visitor="bob"))
    ask(lambda: store.leases.next(this_process()))
    ask(lambda: store.datasets.of("secret"))


@pytest.mark.parametrize("number", range(FLIPS))
def test_flipped_bit_costs_one_run(filled: Path, tmp_path: Path, number: int) -> None:
    drawn, root = random.Random(28_000 + number), tmp_path / "store"
    shutil.copytree(filled, root)
    file = drawn.choice([root / "history.sqlite"] * 4 + sorted((root / "runs").glob("*/run.json")))
    content = bytearray(file.read_bytes())
    place = drawn.randrange(len(content))
    content[place] ^= 1 << drawn.randrange(8)
    file.write_bytes(content)
    ids = sorted(folder.name for folder in (filled / "runs").iterdir())
    store = RunStore(root)
    page_answers(store, ids)
    known = {run.id: run for run in store.history(None)}
    sound = [run_id for run_id in ids if run_id in known and not known[run_id].damaged]
    assert len(sound) >= len(ids) - 1, (place, file.name)
    assert sum(len(store.rows(run_id)[0]) for run_id in sound) >= 6
    store.close()
