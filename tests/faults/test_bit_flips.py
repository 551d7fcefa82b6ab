"""One bit of a store turned over: the page answers, and doctor mends it or leaves one damaged entry.

CDVFT_FAULTS=1 (`make faults`) tries 200; else the first 50 of them.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import run_events

from cdvft_app.events import Evaluation, Note, Preparing
from cdvft_app.settings import RunSettings
from cdvft_app.store.doctor import examine
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.training.queue import RunQueue
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.train.first_shown import first_shown
from cdvft_app.ui.train.history import races
from cdvft_app.ui.train.run_view import Feed, poll, verdict

SEED, FLIPS = 28, 200 if os.environ.get("CDVFT_FAULTS") else 50
RUN, OTHER = RunSettings(method="cdvft"), RunSettings(method="lora", own_prompt=None)
FORECAST = {"whole_seconds": {"low": 1.0, "value": 2.0, "high": 3.0}}


def fill(root: Path) -> None:
    """A race that ended, a run that was interrupted, and one that waits; of two visitors."""
    store = RunStore(root)
    for run in store.create([RUN, OTHER], "secret", "race", process=this_process(), visitor="ada"):
        folder = store.folder(run.id)
        store.append(run.id, Preparing("Loading", 0.5))
        store.append(run.id, run_events.started(9))
        for step in range(1, 10):
            store.append(run.id, run_events.step(step))
        store.append(run.id, Note("All is well."))
        store.append(run.id, Evaluation(9, 0.9, 0.4, "accuracy", 0.7, True))
        (folder / "adapter").mkdir()
        (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
        store.append(run.id, run_events.done(9, folder / "adapter", metric=0.7))
    (cut_off,) = store.create([RUN], "other", "cut off", process=this_process(), visitor="bob")
    store.append(cut_off.id, run_events.step(1))
    store.set_state(cut_off.id, "interrupted", "The program ended.")
    store.create([RUN], "other", "waits", forecasts=[FORECAST], visitor="bob")
    store.close()


def flip(root: Path, drawn: random.Random) -> str:
    """Turn one bit over in the history, or in what a folder tells; which one it was."""
    files = [root / "history.sqlite"] * 4 + sorted((root / "runs").glob("*/r*.json*"))
    file = drawn.choice(files)
    content = bytearray(file.read_bytes())
    place, bit = drawn.randrange(len(content)), drawn.randrange(8)
    content[place] ^= 1 << bit
    file.write_bytes(content)
    return f"bit {bit} of byte {place} of {file.relative_to(root)}"


def answers(root: Path) -> None:
    """Whatever the page asks is answered, or refused in a sentence."""

    def ask(question: Callable[[], object]) -> None:
        try:
            question()
        except StoreError as refused:
            assert str(refused).endswith(".")

    try:
        store = RunStore(root)
    except StoreError:
        return  # the server says so, and does not start
    queue = RunQueue(store)
    app, feed = AppState.make(store, queue), Feed(store)
    ids = sorted(folder.name for folder in (root / "runs").iterdir())
    ask(lambda: json.dumps(races(store, {"limit": 20, "token": "secret"}), allow_nan=False))
    ask(lambda: poll(store, feed, {"cursors": dict.fromkeys(ids, 0), "token": "secret"}))
    ask(lambda: json.dumps(verdict(store, {"runs": ids})))
    for run_id in ["", *ids]:
        ask(lambda run_id=run_id: first_shown(app, run_id, "secret"))
    ask(lambda: store.spending.visitors(0))
    ask(lambda: app.queue.submit([RUN], "new", visitor="bob"))
    ask(lambda: store.leases.next(this_process()))
    ask(store.leases.expire)
    ask(lambda: store.datasets.of("secret"))
    store.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("filled")
    fill(root)
    return root


@pytest.mark.parametrize("number", range(FLIPS))
def test_a_flipped_bit_is_mended_or_one_damaged_entry(filled: Path, tmp_path: Path, number: int) -> None:
    drawn = random.Random(SEED * 1000 + number)
    root, served = tmp_path / "store", tmp_path / "served"
    shutil.copytree(filled, root)
    where = flip(root, drawn)
    print(where)
    shutil.copytree(root, served)
    answers(served)
    ids = {folder.name for folder in (filled / "runs").iterdir()}
    list(examine(root))
    store = RunStore(root)
    kept = {run.id: run for run in store.history()}
    quarantined = set(store.folders.quarantined())
    assert ids <= set(kept) | quarantined and len(quarantined) <= 1, where
    assert len([run for run in kept.values() if run.damaged]) + len(quarantined) <= 1, where
    whole = {run.state for run in kept.values()}
    assert "finished" in whole and sum(len(store.rows(run_id)[0]) for run_id in kept) >= 26, where
    assert [one.text for one in examine(root) if one.mended] == [], where
    store.close()
