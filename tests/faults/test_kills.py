"""Fifty kills, each before a line of the store's own code that was drawn by chance: nothing reported is lost.

A child makes runs, trains and deletes them, and says what is kept; SIGKILL meets it anywhere between. The
store is the same all the time: what one kill leaves behind must not hinder what comes after it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import run_events
import telling_child
from outside import Told, problems
from traced_lines import Lines

import cdvft_app.store
from cdvft_app.settings import RunSettings
from cdvft_app.store import snapshots
from cdvft_app.store.processes import this_process
from cdvft_app.store.runs import RunStore

KILLS = 50
RUN = RunSettings(method="cdvft")
CODE = str(Path(cdvft_app.store.__file__).parent)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def life(root: Path, say: Callable[..., object]) -> None:
    """What a server does all day: make, prepare, train, end, and delete the oldest."""
    store = RunStore(root)
    old = [run for run in store.history() if run.state == "finished"]
    (run,) = store.create([RUN], "secret", "a run")
    say("made", run=run.id, token="secret")
    lease = store.leases.acquire(run.id, this_process())
    store.append(run.id, run_events.started(4), lease.epoch)
    folder = store.make_folder(run.id)
    for step in range(1, 5):
        store.append(run.id, run_events.step(step), lease.epoch)
        say("step", run=run.id, step=step)
        snapshots.write(folder, step, {"query/diagonal.0": np.ones(8)})
        say("snapshot")
    (folder / "adapter").mkdir()
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    store.append(run.id, run_events.done(4, folder / "adapter", metric=0.7), lease.epoch)
    say("finished", run=run.id)
    if old:
        say("deleting", run=old[-1].id)
        store.delete(old[-1].id, "secret")
        say("deleted", run=old[-1].id)
    store.close()


def lines_of(root: Path) -> int:
    """How many lines of the store a whole life would run now, of which each run that is there needs some."""
    with tempfile.TemporaryDirectory() as copy, Lines(CODE) as lines:
        life(Path(shutil.copytree(root, copy, dirs_exist_ok=True)), lambda what, **facts: None)
    return lines.count


def killed_before_line(root: Path, number: int) -> list[str]:
    """What a child said until it was killed before the line of that number."""

    def act(say: Callable[..., None]) -> None:
        with Lines(CODE, number):
            life(root, say)

    child, read = telling_child.begin(act)
    with open(read, encoding="utf-8") as pipe:
        said = pipe.readlines()
    os.waitpid(child, 0)
    return said


def test_fifty_kills_lose_nothing_and_leave_nothing(tmp_path: Path) -> None:
    """By a process that has no thread but its own: a lock that another holds when it forks stays locked."""
    from forked import Forked

    code, _, errors = Forked(tmp_path, live_and_be_killed, tmp_path / "store").end(seconds=500)
    assert code == 0, errors


def live_and_be_killed(root: Path) -> None:
    drawn, told, most, last_words = random.Random(11), Told(), 0, set()
    life(root, lambda what, **facts: None)  # so that there is something to delete
    for number in range(KILLS):
        most = most if number % 5 else lines_of(root)
        said = killed_before_line(root, drawn.randrange(1, most))
        last_words.add(json.loads(said[-1])["what"] if said else "")
        for line in said:
            told.hear(line)
        # A server that starts now sees all that was said, and nobody trains any more.
        store = RunStore(root)
        known = {run.id: run.state for run in store.history()}
        assert set(known.values()) <= {"queued", "interrupted", "finished"}
        told.deleted |= told.deleting - set(known)  # what is gone stays so
        (started,) = store.create([RUN], "somebody")
        assert store.folder(started.id).is_dir()
        store.remove(started.id)
        store.close()
        assert not (found := problems(root, told)), found
    assert last_words >= {"", "made", "snapshot", "deleting"}, "kills meet every part of a life"
    store = RunStore(root)
    store.folders.sweep()
    store.folders.take_in(store.folders.unknown())
    kept = {run.id for run in store.history()}
    assert problems(root, told) == [] and {path.name for path in (root / "runs").iterdir()} == kept
