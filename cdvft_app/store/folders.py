"""The runs' folders: checkpoints, snapshots, adapter, and `run.json`, from which a lost database is rebuilt.

`run.json` has the run's settings, state and events so far. It is written in the transaction that changes the
database: on creation, at each checkpoint, at the end, and with each change of owner, name or visibility.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cdvft_app.files import replacing
from cdvft_app.settings.environment import environment
from cdvft_app.store import rows, states
from cdvft_app.store.database import Database, store_errors
from cdvft_app.store.records import ID, readable_event, record

FACTS = "run.json"
DELETED = ".deleted-"  # before the id, in the name of a deleted run's folder
JSON_COLUMNS = ("settings", "result", "forecast")
LOCAL_COLUMNS = ("number", "process", "epoch", "lease_until", "began", "leased")
"""Columns that mean nothing in another database."""
LOST = "The database was lost while this run was unfinished. Resume continues from its last checkpoint."


@dataclass
class Rebuilt:
    """The runs that came into the database from their folders.

    Attributes:
        ids: Of the runs that were read.
        lost: Why the other folders could not be, by their names.
    """

    ids: list[str] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)


class Folders:
    """`RunStore.folders`; any thread and process may use it."""

    def __init__(self, path: Path, database: Database) -> None:
        self.path = path
        self._database = database

    def make(self, run_id: str) -> Path:
        """Return the run's folder, created if it is missing; only a run of the database may have one."""
        folder = self.path / run_id
        with store_errors(Path(run_id)):
            folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def save(self, connection: sqlite3.Connection, run_id: str) -> None:
        """Write `run.json` as the caller's transaction has the run; that of a damaged row stays.

        Raises:
            OSError: The disk refuses it.
        """
        row = dict(connection.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone())
        if record(row).damaged:
            return
        facts = {name: value for name, value in row.items() if name not in LOCAL_COLUMNS}
        facts |= {name: json.loads(facts[name] or "null") for name in JSON_COLUMNS}
        found = connection.execute(
            "SELECT kind, step, data FROM rows WHERE run_id = ? ORDER BY cursor", (run_id,)
        )
        read = [
            (row["kind"], row["step"], readable_event(row["kind"], row["step"], row["data"])) for row in found
        ]
        events = [{"kind": kind, "step": step, **values} for kind, step, values in read if values is not None]
        (self.path / run_id).mkdir(mode=0o700, exist_ok=True)
        write_facts(self.path / run_id, facts, events)

    def change(self, connection: sqlite3.Connection, run_id: str, changed: Mapping[str, Any]) -> None:
        """Write changed columns into `run.json`, and into its copy in CDVFT_KEPT if there is one.

        The rest of the files stays as it is: it belongs to the checkpoints beside them.

        Raises:
            OSError: The disk refuses it.
        """
        if not _changed(self.path / run_id, changed):
            self.save(connection, run_id)
        if kept := environment().kept:
            _changed(kept / run_id, changed)

    def refresh_copy(self, copy: Path) -> None:
        """Give a copy of a run's folder today's `run.json`; remove the copy if the run was deleted meanwhile.

        Raises:
            OSError: The disk refuses it.
        """
        with self._database.writing():  # nothing changes meanwhile
            if not (facts := self.path / copy.name / FACTS).is_file():
                shutil.rmtree(copy, ignore_errors=True)
                return
            with replacing(copy / FACTS, private=True) as new:
                shutil.copyfile(facts, new)

    def discard(self, run_id: str) -> None:
        """Rename a deleted run's folder, so that nothing reads it again; this needs no space on the disk."""
        with suppress(FileNotFoundError):
            os.replace(self.path / run_id, self.path / f"{DELETED}{run_id}")

    def sweep(self) -> None:
        """Remove the folders of deleted runs, and their copies; a deletion that was cut off is undone."""
        gone = []
        with self._database.writing() as connection, store_errors(self.path):  # no run is deleted meanwhile
            known = {row["id"] for row in connection.execute("SELECT id FROM runs")}
            for left in self.path.glob(f"{DELETED}*"):
                if (run_id := left.name.removeprefix(DELETED)) in known:
                    os.replace(left, self.path / run_id)
                else:
                    gone.append((run_id, left))
        for run_id, left in gone:
            if kept := environment().kept:
                shutil.rmtree(kept / run_id, ignore_errors=True)
            if not kept or _is_gone(kept / run_id):  # else the folder reminds of the copy
                shutil.rmtree(left, ignore_errors=True)

    def unknown(self) -> list[Path]:
        """Return the folders of runs that the database does not have."""
        with self._database.reading() as connection:
            known = {row["id"] for row in connection.execute("SELECT id FROM runs")}
        return [folder for folder in self._all() if folder.name not in known]

    def _all(self) -> list[Path]:
        return sorted(
            folder for folder in self.path.iterdir() if ID.fullmatch(folder.name) and folder.is_dir()
        )

    def take_in(self, folders: Iterable[Path]) -> Rebuilt:
        """Insert the runs of these folders, which the database does not have."""
        rebuilt = Rebuilt()
        if folders := list(folders):
            with self._database.writing() as connection:
                self._insert(connection, folders, rebuilt)
        return rebuilt

    def rebuild(self, connection: sqlite3.Connection) -> Rebuilt:
        """Insert the runs of all folders into an empty database, as of their last `run.json`."""
        rebuilt = Rebuilt()
        self._insert(connection, self._all(), rebuilt)
        return rebuilt

    def _insert(self, connection: sqlite3.Connection, folders: Iterable[Path], rebuilt: Rebuilt) -> None:
        found = []
        for folder in folders:
            try:
                found.append(read_facts(folder))
            except (OSError, ValueError) as error:
                rebuilt.lost[folder.name] = str(error)
        for facts, events in sorted(found, key=lambda one: (one[0]["created"], one[0]["position"])):
            connection.execute("SAVEPOINT run")
            try:
                insert(connection, facts, events)
                rebuilt.ids.append(facts["id"])
            except (sqlite3.IntegrityError, OverflowError) as error:
                connection.execute("ROLLBACK TO run")
                rebuilt.lost[facts["id"]] = str(error)
            connection.execute("RELEASE run")


def read_facts(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read `run.json`: the columns of the run, which has ended, and its events.

    Raises:
        OSError: It is missing, or cannot be read.
        ValueError: It is damaged, or of another run.
    """
    try:
        found = json.loads((folder / FACTS).read_bytes())
        events = [event for event in found.pop("events") if _is_event(event)]
        facts = {name: found[name] for name in found if name not in LOCAL_COLUMNS}
        facts |= {name: found.get(name) and json.dumps(found[name]) for name in JSON_COLUMNS}
        facts["result"] = facts["result"] or "{}"
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{FACTS} is damaged ({type(error).__name__})") from error
    run = record(facts)
    if run.damaged or run.id != folder.name or not isinstance(facts.get("token_hash"), str | None):
        raise ValueError(f"{FACTS} is damaged, or of another run")
    if run.state not in states.FINAL:
        facts |= {"state": "interrupted", "reason": LOST, "ended": run.queued}
    return facts, events


def _is_event(event: Any) -> bool:
    rest = {name: value for name, value in event.items() if name not in ("kind", "step")}
    return readable_event(event.get("kind"), event.get("step"), json.dumps(rest)) is not None


def write_facts(folder: Path, facts: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> None:
    """Write `run.json`, an event per line, so that it is whole or as it was before."""
    lines = ",\n  ".join(json.dumps(event) for event in events)
    text = json.dumps({**facts, "events": []}, indent=1)
    with replacing(folder / FACTS, private=True) as new:
        new.write_text(text[: text.rindex("]")] + f"\n  {lines}\n ]\n}}\n", encoding="utf-8")


def insert(
    connection: sqlite3.Connection, facts: Mapping[str, Any], events: Iterable[Mapping[str, Any]]
) -> None:
    """Insert a run that `read_facts` read."""
    known = {row[1] for row in connection.execute("PRAGMA table_info(runs)")}
    values = {name: value for name, value in facts.items() if name in known}
    columns, places = ", ".join(values), ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO runs ({columns}) VALUES ({places})", tuple(values.values()))
    for event in events:
        rows.insert(connection, facts["id"], event["kind"], dict(event))


def _changed(folder: Path, changed: Mapping[str, Any]) -> bool:
    """Change columns in a folder's `run.json`; return whether it could be read."""
    try:
        facts = json.loads((folder / FACTS).read_bytes())
        events = facts.pop("events")
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return False
    write_facts(folder, facts | changed, events)
    return True


def _is_gone(place: Path) -> bool:
    try:
        return not place.exists()
    except OSError:  # of a mount that does not answer
        return False
