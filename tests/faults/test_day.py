"""A part of a day with kills, disk errors and clock steps; `make faults` has all of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import run_events
from outside import Told, problems
from stored_runs import ask

from cdvft_app.settings import RunSettings
from cdvft_app.store.processes import this_process
from cdvft_app.store.runs import RunStore

DAY = Path(__file__).with_name("day.py")


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="needs Linux and a C compiler"
)
def test_a_part_of_a_day_loses_nothing() -> None:
    ended = subprocess.run(
        [sys.executable, str(DAY), "--kills", "15"], capture_output=True, text=True, timeout=500, check=False
    )
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert result["kills"] == 15 and result["runs made"] > 5 and result["steps reported"] > 20
    assert result["refused by the disk"] > 0 and "died there" in str(result["lives by what they met"])


def change(query: str) -> Callable[[Path], object]:
    return lambda root: ask(root / "history.sqlite", query)


def swap_facts(root: Path) -> None:
    one, other = sorted((root / "runs").glob("*/run.json"))
    other.write_text(one.read_text())


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (change("DELETE FROM rows WHERE step = 2"), "has steps"),
        (change("DELETE FROM rows WHERE step = 3"), "lost steps"),
        (change("DELETE FROM runs WHERE number = 2"), "is lost"),
        (change("DELETE FROM runs WHERE number = 1"), "rows belong to no run"),
        (change("UPDATE runs SET token_hash = 'x' WHERE number = 1"), "is another's"),
        (change("UPDATE runs SET visitor = 'x' WHERE number = 1"), "is counted for x"),
        (change("UPDATE runs SET name = 'x' WHERE number = 1"), "is called x"),
        (change("UPDATE runs SET state = 'x' WHERE number = 1"), "is x"),
        (change("UPDATE runs SET state = 'stopped' WHERE number = 1"), "was finished and is stopped"),
        (change("INSERT INTO spent VALUES ('ada', 'training', 1, 3600)"), "seconds were charged"),
        (swap_facts, "has another's folder"),
    ],
)  # fmt: skip
def test_the_check_from_outside_notices(tmp_path: Path, damage: Callable[[Path], object], what: str) -> None:
    store, told = RunStore(tmp_path), Told(seconds=10)
    for number in range(2):
        (run,) = store.create([RunSettings(method="cdvft")], "t", "n", this_process(), visitor="v")
        told.hear(json.dumps({"what": "made", "run": run.id, "token": "t", "visitor": "v", "name": "n"}))
        if number == 0:
            store.append(run.id, run_events.started(9))
            for step in range(1, 4):
                store.append(run.id, run_events.step(step))
                told.hear(json.dumps({"what": "step", "run": run.id, "step": step}))
        store.set_state(run.id, "finished")
        told.hear(json.dumps({"what": "finished", "run": run.id}))
    store.close()
    assert problems(tmp_path, told) == []
    damage(tmp_path)
    assert what in " ".join(problems(tmp_path, told))
