"""What must hold of a store, checked from outside: SQLite and files, and nothing of the app's own code.

`told` is what a program said it had kept, before it was killed.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STATES = {"queued", "preparing", "running", "stopping", "finished", "stopped", "failed", "interrupted"}


@dataclass
class Told:
    """Of each run, by its id: its owner, the last step and the end that were kept, and what is deleted or
    was about to be."""

    owner: dict[str, str] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    deleting: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)

    def hear(self, line: str) -> None:
        said: dict[str, Any] = json.loads(line)
        run, what = said.get("run", ""), said["what"]
        if what == "made":
            self.owner[run] = said["token"]
        elif what == "step":
            self.steps[run] = max(self.steps.get(run, 0), said["step"])
        elif what in ("finished", "deleting", "deleted"):
            getattr(self, what).add(run)


def problems(root: Path, told: Told) -> list[str]:
    """Why the store is not what it was said to be; a sound one has none."""
    found: list[str] = []
    with closing(sqlite3.connect(root / "history.sqlite")) as connection:
        connection.row_factory = sqlite3.Row
        if (message := connection.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            return [f"the history is damaged: {message}"]
        if connection.execute("PRAGMA foreign_key_check").fetchone():
            found.append("rows belong to no run")
        runs = {row["id"]: row for row in connection.execute("SELECT * FROM runs")}
        steps: dict[str, list[int]] = {run: [] for run in runs}
        for row in connection.execute(
            "SELECT run_id, step, data FROM rows WHERE kind = 'step' ORDER BY cursor"
        ):
            json.loads(row["data"])
            steps.setdefault(row["run_id"], []).append(row["step"])
    found += [f"{run} is lost" for run in set(told.owner) - told.deleting - set(runs)]
    found += [f"{run} was deleted and is back" for run in told.deleted & set(runs)]
    for run, row in runs.items():
        if row["state"] not in STATES:
            found.append(f"{run} is {row['state']}")
        if steps[run] != list(range(1, len(steps[run]) + 1)):
            found.append(f"{run} has steps {steps[run]}")
        if len(steps[run]) < told.steps.get(run, 0):
            found.append(f"{run} lost steps after {len(steps[run])} of {told.steps[run]}")
        if run in told.finished and row["state"] != "finished":
            found.append(f"{run} was finished and is {row['state']}")
        if run in told.owner and row["token_hash"] != _kept(told.owner[run]):
            found.append(f"{run} is another's")
        facts = root / "runs" / run / "run.json"
        if facts.is_file() and json.loads(facts.read_text())["id"] != run:
            found.append(f"{run} has another's folder")
    return found


def _kept(token: str) -> str:
    key = hashlib.sha256(token.encode()).hexdigest()
    return f"2:{hashlib.sha256(key.encode()).hexdigest()}"
