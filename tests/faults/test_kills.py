"""Fifty kills, each before a line of the store's own code that was drawn by chance: nothing reported is lost.

A child makes runs, trains and deletes them, and says what is kept; SIGKILL meets it anywhere between. The
store is the same all the time: what one kill leaves behind must not hinder what comes after it.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import run_events
import telling_child
from traced_lines import Lines

import cdvft_app.store
from cdvft_app.settings import RunSettings
from cdvft_app.store import snapshots
from cdvft_app.store.doctor import examine
from cdvft_app.store.processes import this_process
from cdvft_app.store.runs import RunStore

KILLS = 50
RUN = RunSettings(method="cdvft")
CODE = str(Path(cdvft_app.store.__file__).parent)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def life(root: Path, report: Callable[[str], object]) -> None:
    """What a server does all day: make, prepare, train, end, and delete the oldest."""
    store = RunStore(root)
    old = [run for run in store.history() if run.state == "finished"]
    (run,) = store.create([RUN], "secret", "a run")
    report(f"made {run.id}")
    lease = store.leases.acquire(run.id, this_process())
    store.append(run.id, run_events.started(4), lease.epoch)
    folder = store.make_folder(run.id)
    for step in range(1, 5):
        store.append(run.id, run_events.step(step), lease.epoch)
        report(f"step {run.id} {step}")
        snapshots.write(folder, step, {"query/diagonal.0": np.ones(8)})
        report(f"snapshot {run.id} {step}")
    (folder / "adapter").mkdir()
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    store.append(run.id, run_events.done(4, folder / "adapter", metric=0.7), lease.epoch)
    report(f"finished {run.id}")
    if old:
        report(f"deleting {old[-1].id}")
        store.delete(old[-1].id, "secret")
        report(f"deleted {old[-1].id}")
    store.close()


def lines_of(root: Path) -> int:
    """How many lines of the store a whole life would run now, of which each run that is there needs some."""
    with tempfile.TemporaryDirectory() as copy, Lines(CODE) as lines:
        life(Path(shutil.copytree(root, copy, dirs_exist_ok=True)), lambda message: None)
    return lines.count


def killed_before_line(root: Path, number: int) -> list[list[str]]:
    """What a child reported until it was killed before the line of that number."""

    def act(say: Callable[[str], object]) -> None:
        with Lines(CODE, number):
            life(root, say)

    child, read = telling_child.begin(act)
    with open(read, encoding="utf-8") as pipe:
        reported = [line.split() for line in pipe]
    os.waitpid(child, 0)
    return reported


def test_fifty_kills_lose_nothing_and_leave_nothing(tmp_path: Path) -> None:
    drawn = random.Random(11)
    most, rows, last_words = 0, {}, Counter()
    reported: dict[str, set[str]] = {"deleting": set(), "deleted": set(), "finished": set()}
    life(tmp_path, lambda message: None)  # so that there is something to delete
    for number in range(KILLS):
        most = most if number % 5 else lines_of(tmp_path)
        reports = killed_before_line(tmp_path, drawn.randrange(1, most))
        last_words[reports[-1][0] if reports else ""] += 1
        for word, run_id, *step in reports:
            if word in ("step", "made"):
                rows[run_id] = int(step[0]) if step else 0
            if word in reported:
                reported[word].add(run_id)
        # A server that starts now sees all that was reported, and nobody trains any more.
        store = RunStore(tmp_path)
        known = {run.id: run for run in store.history()}
        assert not reported["deleted"] & set(known)
        reported["deleted"] |= reported["deleting"] - set(known)  # what is gone stays so
        assert set(rows) - reported["deleting"] <= set(known), "a run that was made is lost"
        assert all(known[run].state == "finished" for run in reported["finished"] & set(known))
        for run in set(rows) & set(known):
            kept = [row["step"] for row in store.rows(run, kinds=["step"])[0]]
            assert kept == list(range(1, len(kept) + 1)) and len(kept) >= rows[run]
        assert {run.state for run in known.values()} <= {"queued", "interrupted", "finished"}
        (started,) = store.create([RUN], "somebody")
        assert store.folder(started.id).is_dir()
        store.remove(started.id)
        store.close()
    assert last_words.keys() >= {"", "made", "snapshot", "deleting"}, "kills meet every part of a life"
    mended = list(examine(tmp_path))
    assert [finding.text for finding in mended if not finding.mended] == []
    assert list(examine(tmp_path)) == []
    kept = {run.id for run in RunStore(tmp_path).history()}
    assert {path.name for path in (tmp_path / "runs").iterdir()} == kept
    assert not reported["deleted"] & kept, "taken for runs that the history had lost"
    with closing(sqlite3.connect(tmp_path / "history.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
