"""Fifty kills, each before a line of the store's own code that was drawn by chance: nothing reported is lost.

A child makes runs, trains and deletes them, and says what is kept; SIGKILL meets it anywhere between. The
store is the same all the time: what one kill leaves behind must not hinder what comes after it.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import run_events

import cdvft_app.store
from cdvft_app.settings import RunSettings
from cdvft_app.store import snapshots
from cdvft_app.store.doctor import examine
from cdvft_app.store.processes import this_process
from cdvft_app.store.runs import RunStore

KILLS = 50
RUN = RunSettings(method="cdvft")
STARTED = run_events.started(4)
CODE = str(Path(cdvft_app.store.__file__).parent)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def life(root: Path, report: Callable[[str], None]) -> None:
    """What a server does all day: make, prepare, train, end, and delete the oldest."""
    store = RunStore(root)
    old = [run for run in store.history() if run.state == "finished"]
    (run,) = store.create([RUN], "secret", "a run")
    report(f"made {run.id}")
    lease = store.leases.acquire(run.id, this_process())
    store.append(run.id, STARTED, lease.epoch)
    folder = store.make_folder(run.id)
    for step in range(1, 5):
        store.append(run.id, run_events.step(step), lease.epoch)
        report(f"step {run.id} {step}")
        snapshots.write(folder, step, {"query/diagonal.0": np.ones(8)})
        report(f"snapshot {run.id} {step}")
    (folder / "adapter").mkdir()
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    done = run_events.done(4, folder / "adapter", metric=0.7)
    store.append(run.id, done, lease.epoch)
    report(f"finished {run.id}")
    if old:
        report(f"deleting {old[-1].id}")
        store.delete(old[-1].id, "secret")
        report(f"deleted {old[-1].id}")
    store.close()


def lines_of(root: Path) -> int:
    """How many lines of the store a whole life runs."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace if frame.f_code.co_filename.startswith(CODE) else None

    sys.settrace(trace)
    try:
        life(root, lambda message: None)
    finally:
        sys.settrace(None)
    return count


def killed_before_line(root: Path, number: int) -> list[list[str]]:
    """What a child reported until it was killed before the line of that number."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # it never returns into the test
        left = number

        def trace(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal left
            left -= event == "line"
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return trace if frame.f_code.co_filename.startswith(CODE) else None

        try:
            sys.settrace(trace)
            life(root, lambda reported: os.write(write, f"{reported}\n".encode()) and None)
        finally:
            os._exit(0)
    os.close(write)
    with open(read, encoding="utf-8") as pipe:
        reported = [line.split() for line in pipe]
    os.waitpid(child, 0)
    return reported


def test_fifty_kills_lose_nothing_and_leave_nothing(tmp_path: Path) -> None:
    drawn = random.Random(11)
    most, rows, cut_off = lines_of(tmp_path), {}, 0
    reported: dict[str, set[str]] = {"deleting": set(), "deleted": set(), "finished": set()}
    for _ in range(KILLS):
        reports = killed_before_line(tmp_path, drawn.randrange(1, most))
        cut_off += not reports or reports[-1][0] != "deleted"
        for word, run_id, *step in reports:
            if word in ("step", "made"):
                rows[run_id] = int(step[0]) if step else 0
            if word in reported:
                reported[word].add(run_id)
        # A server that starts now sees all that was reported, and nobody trains any more.
        store = RunStore(tmp_path)
        known = {run.id: run for run in store.history()}
        assert not reported["deleted"] & set(known)
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
    assert cut_off > KILLS // 2
    mended = list(examine(tmp_path))
    assert [finding.text for finding in mended if not finding.mended] == []
    assert list(examine(tmp_path)) == []
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {
        run.id for run in RunStore(tmp_path).history()
    }
    with closing(sqlite3.connect(tmp_path / "history.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
