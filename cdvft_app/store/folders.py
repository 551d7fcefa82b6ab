"""The runs' folders: each is made after its run is in the history, and removed after its run is deleted.

Beside the training's files, a folder has a copy of its run's row, `run.json`, and of the run's own rows,
`rows.jsonl`, so that a lost history can be rebuilt: `adopt` inserts every folder that no run of the history
owns. The history is authoritative; the copies are written if the disk allows.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from cdvft_app.store import rows, states
from cdvft_app.store.database import Database, store_errors
from cdvft_app.store.location import kept_folder
from cdvft_app.store.records import require_run

FACTS, ROWS = "run.json", "rows.jsonl"
LOCAL_COLUMNS = ("number", "process", "epoch", "lease_until")  # meaningless in another history
LOST = "The history was lost while this run was not at its end. Resume goes on from its last checkpoint."


class Folders:
    """`RunStore.folders`; any thread and process may use it."""

    def __init__(self, path: Path, database: Database) -> None:
        self.path = path
        self._database = database

    def make(self, name: str) -> Path:
        """The folder, made if it is missing; only a run that is kept may have one."""
        folder = self.path / name
        with store_errors(folder):
            folder.mkdir(exist_ok=True)
        return folder

    def keep_facts(self, run_id: str) -> None:
        """Write `run.json` from the run's row in the history."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
        if row is not None:
            facts = {column: row[column] for column in row.keys() if column not in LOCAL_COLUMNS}  # noqa: SIM118
            with suppress(OSError):
                _replace(self.path / row["folder"] / FACTS, json.dumps(facts, indent=1))

    def keep_row(self, name: str, row: dict[str, Any]) -> None:
        with suppress(OSError), (self.path / name / ROWS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def rewrite(self, run_id: str) -> None:
        """Write both files anew out of the history: those of an older version, or of a disk that was full."""
        self.keep_facts(run_id)
        with self._database.reading() as connection:
            name = connection.execute("SELECT folder FROM runs WHERE id = ?", (run_id,)).fetchone()[0]
            query = "SELECT kind, step, data FROM rows WHERE run_id = ? ORDER BY cursor"
            lines = [json.dumps(dict(row)) + "\n" for row in connection.execute(query, (run_id,))]
        with suppress(OSError):
            _replace(self.path / name / ROWS, "".join(lines))

    def difference(self, run_id: str) -> int:
        """0 if both files agree with the history; -1 if they have less, 1 if they have more: then the history
        has lost its latest transactions, as with a deleted write-ahead log."""
        with self._database.reading() as connection:
            run = connection.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
            query = "SELECT kind FROM rows WHERE run_id = ?"
            kinds = [row["kind"] for row in connection.execute(query, (run_id,))]
        facts = _read(self.path / run["folder"])
        written_kinds = [row["kind"] for row in _rows(self.path / run["folder"])]
        if _progress(facts.get("state"), written_kinds) > _progress(run["state"], kinds):
            return 1
        return 0 if (facts.get("state"), written_kinds) == (run["state"], kinds) else -1

    def restore(self, run_id: str) -> None:
        """Replace the run's rows in the history by those of its folder."""
        with self._database.writing() as connection:
            name = require_run(connection, run_id)["folder"]
            connection.execute("DELETE FROM runs WHERE id = ?", (run_id,))
            _insert(connection, _read(self.path / name) | {"folder": name}, _rows(self.path / name))

    def sweep(self) -> None:
        """Remove the folders of deleted runs, also those that an earlier process could not remove."""
        with self._database.reading() as connection:
            names = [row["folder"] for row in connection.execute("SELECT folder FROM deleted")]
        for name in names:
            shutil.rmtree(self.path / name, ignore_errors=True)
            if (kept := kept_folder()) is not None:
                shutil.rmtree(kept / name, ignore_errors=True)
            if not (self.path / name).exists():
                with self._database.writing() as connection:
                    connection.execute("DELETE FROM deleted WHERE folder = ?", (name,))

    def orphans(self) -> list[Path]:
        """Folders that belong neither to a run nor to a deleted one."""
        with self._database.reading() as connection:
            query = "SELECT folder FROM runs UNION SELECT folder FROM deleted"
            owned = {row["folder"] for row in connection.execute(query)}
        return sorted(path for path in self.path.iterdir() if path.is_dir() and path.name not in owned)

    def adopt(self) -> list[str]:
        """Insert the runs of orphaned folders into the history, the oldest first; returns their ids."""
        if not any((path / FACTS).is_file() for path in self.orphans()):
            return []
        adopted = []
        with self._database.writing() as connection:  # holds the write lock, so no run is deleted meanwhile
            found = [(facts, path) for path in self.orphans() if (facts := _read(path))]
            for facts, path in sorted(found, key=lambda one: (one[0]["created"], one[0]["position"])):
                with suppress(sqlite3.IntegrityError):  # a second copy of a run that is kept
                    _insert(connection, facts | {"folder": path.name}, _rows(path))
                    adopted.append(facts["id"])
        return adopted


def _insert(
    connection: sqlite3.Connection, facts: dict[str, Any], written_rows: Iterable[dict[str, Any]]
) -> None:
    columns = {row["name"] for row in connection.execute("PRAGMA table_info(runs)")} - set(LOCAL_COLUMNS)
    values = {column: value for column, value in facts.items() if column in columns}
    if values["state"] not in states.FINAL:
        values |= {"state": "interrupted", "reason": LOST, "ended": values["queued"]}
    for row in written_rows:
        event = json.loads(row["data"]) | {"step": row["step"]}
        values |= rows.columns(row["kind"], event, values["result"])
    connection.execute(
        f"INSERT INTO runs ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
        tuple(values.values()),
    )
    connection.executemany(
        "INSERT INTO rows (run_id, kind, step, data) VALUES (?, ?, ?, ?)",
        [(values["id"], row["kind"], row["step"], row["data"]) for row in written_rows],
    )


def _progress(state: str | None, kinds: list[str]) -> tuple[int, bool]:
    """How far a run has come by its rows and state: number of steps, and whether it ended."""
    return kinds.count("step"), "done" in kinds and state in states.FINAL


def _read(folder: Path) -> dict[str, Any]:
    """`run.json` of a folder; empty where it is missing or damaged."""
    with suppress(OSError, ValueError):
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        if isinstance(facts, dict) and {"id", "settings", "state", "created", "queued"} <= set(facts):
            return facts
    return {}


def _rows(folder: Path) -> list[dict[str, Any]]:
    """`rows.jsonl` of a folder, without the rows that a resumed run has replaced by later ones."""
    written_rows: list[dict[str, Any]] = []
    step = 0
    for row in _lines(folder / ROWS):
        if written_rows and written_rows[-1]["kind"] == "done":
            written_rows.pop()  # the run was resumed after this end
        if row["kind"] == "step":
            if row["step"] <= step:
                written_rows = [
                    one for one in written_rows if one["step"] is None or one["step"] < row["step"]
                ]
            step = row["step"]
        written_rows.append(row)
    return written_rows


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with suppress(OSError):
        for line in file.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):  # the last one may be cut off
                row = json.loads(line)
                if isinstance(row, dict) and {"kind", "step", "data"} <= set(row):
                    yield row


def _replace(file: Path, text: str) -> None:
    unfinished = file.with_name(f"{file.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, file)
