"""The runs' folders: each is made after its run is in the history, and removed after its run is deleted.

Beside the training's files, a folder has a copy of its run's row, `run.json`, and of the run's own rows,
`rows.jsonl`, so that a lost history can be rebuilt: `adopt` inserts every folder that no run of the history
owns. The history is authoritative; the copies are written if the disk allows.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cdvft_app.files import replacing
from cdvft_app.settings import explain
from cdvft_app.settings.environment import environment
from cdvft_app.store import owners, rows, states
from cdvft_app.store.database import Database, store_errors
from cdvft_app.store.records import RowFacts, RunFacts, is_row, record, require_run

FACTS, ROWS = "run.json", "rows.jsonl"
REASON = "reason.txt"  # in a folder of the quarantine
log = logging.getLogger(__name__)
LOCAL_COLUMNS = (
    "number",
    "process",
    "epoch",
    "lease_until",
    "began",
    "leased",
)  # meaningless in another history
CHANGEABLE = "name", "private", "hidden", "visitor"  # also of a run that has ended
LOST = "The history was lost while this run was not at its end. Resume goes on from its last checkpoint."


class Folders:
    """`RunStore.folders`; any thread and process may use it."""

    def __init__(self, path: Path, database: Database) -> None:
        self.path = path
        self._database = database

    def make(self, name: str) -> Path:
        """Return the folder, made if it is missing; only a run that is kept may have one."""
        folder = self.path / name
        with store_errors(Path(name)):
            folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def keep_facts(self, run_id: str) -> None:
        """Write `run.json` from the run's row in the history, unless that is damaged."""
        if row := self._sound_row(run_id):
            facts = {column: value for column, value in row.items() if column not in LOCAL_COLUMNS}
            with suppress(OSError):
                _write(self.path / row["folder"] / FACTS, json.dumps(facts, indent=1))

    def keep_in_copy(self, run_id: str) -> None:
        """Write what may change of an ended run into `run.json` of its copy in CDVFT_KEPT, if there is one.

        Its other facts stay those of the copied rows and weights, also while it goes on here.
        """
        kept, row = environment().kept, self._sound_row(run_id)
        if kept is None or row is None:
            return
        file = kept / row["folder"] / FACTS
        try:
            if file.is_file():
                facts = json.loads(file.read_text(encoding="utf-8"))
                _write(
                    file, json.dumps({**facts, **{column: row[column] for column in CHANGEABLE}}, indent=1)
                )
        except (OSError, ValueError, TypeError) as error:
            log.warning("The copy of a run in %s still has the facts of before: %s", kept, error,
                        extra={"run_id": run_id})  # fmt: skip

    def _sound_row(self, run_id: str) -> dict[str, Any] | None:
        """Return the run's row; None where there is none, or it is damaged."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
        return None if row is None or record(dict(row)).damaged else dict(row)

    def keep_row(self, name: str, row: dict[str, Any]) -> None:
        with suppress(OSError), open(self.path / name / ROWS, "a", encoding="utf-8", opener=private) as file:
            file.write(json.dumps(row) + "\n")

    def rewrite(self, run_id: str) -> None:
        """Write both files anew out of the history: those that a full disk refused."""
        self.keep_facts(run_id)
        with self._database.reading() as connection:
            name = connection.execute("SELECT folder FROM runs WHERE id = ?", (run_id,)).fetchone()[0]
            lines = [json.dumps(row) + "\n" for row in _rows_in_history(connection, run_id)]
        with suppress(OSError):
            _write(self.path / name / ROWS, "".join(lines))

    def difference(self, run_id: str) -> int:
        """Return 0 if both files agree with the history, -1 if they have less, 1 if they have more.

        In the last case the history is damaged, or has lost its latest transactions, as with a deleted
        write-ahead log.
        """
        with self._database.reading() as connection:
            run = dict(connection.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone())
            kept = _rows_in_history(connection, run_id)
        sound = [row for row in kept if is_row(**row)]
        facts, written = _read(self.path / run["folder"]), _rows(self.path / run["folder"])
        if facts is not None and facts.id != run_id:
            facts = None
        defect, state = record(run).defect, facts.state if facts else None
        if facts is not None and record({**run, **facts.model_dump()}).defect is None:
            more = _progress(state, written) > _progress(run["state"], sound)
            if more or defect is not None or len(sound) < min(len(kept), len(written)):
                return 1
        elif defect is not None:
            return 0  # neither can be read
        return 0 if facts and (state, written) == (run["state"], kept) else -1

    def restore(self, run_id: str) -> None:
        """Replace the run in the history by what its folder tells, and its rows by those that tell more."""
        with self._database.writing() as connection:
            number, name = require_run(connection, run_id)
            facts = _read(self.path / name)
            assert facts is not None
            self._replace(connection, number, name, facts)

    def _replace(self, connection: sqlite3.Connection, number: int, name: str, facts: RunFacts) -> None:
        sound = [row for row in _rows_in_history(connection, facts.id) if is_row(**row)]
        query = "DELETE FROM runs WHERE number = ? RETURNING CAST(epoch AS INTEGER)"
        epoch = connection.execute(query, (number,)).fetchone()[0]
        connection.execute("DELETE FROM rows WHERE run_id = ?", (facts.id,))
        _insert(connection, facts, name, max(_rows(self.path / name), sound, key=len))
        query = "UPDATE runs SET number = ?, epoch = ? WHERE id = ?"
        connection.execute(query, (number, epoch, facts.id))

    def drop_damaged_rows(self, run_id: str) -> int:
        """Remove the rows of the history that cannot be read; how many."""
        with self._database.writing() as connection:
            query = "SELECT cursor, kind, step, data FROM rows WHERE run_id = ?"
            found = connection.execute(query, (run_id,)).fetchall()
            damaged = [row["cursor"] for row in found if not is_row(row["kind"], row["step"], row["data"])]
            connection.executemany("DELETE FROM rows WHERE cursor = ?", [(cursor,) for cursor in damaged])
        return len(damaged)

    def sweep(self) -> None:
        """Remove the folders of deleted runs, also those that an earlier process could not remove."""
        with self._database.reading() as connection:
            names = [row["folder"] for row in connection.execute("SELECT folder FROM deleted")]
        kept = environment().kept
        for name in names:
            places = [self.path / name, *([kept / name] if kept else [])]
            for place in places:
                shutil.rmtree(place, ignore_errors=True)
            if all(map(_is_gone, places)):
                with self._database.writing() as connection:
                    connection.execute("DELETE FROM deleted WHERE folder = ?", (name,))

    def orphans(self, among: Sequence[Path] | None = None) -> list[Path]:
        """Return the folders, `among` these or of all, that belong neither to a run nor to a deleted one."""
        with self._database.reading() as connection:
            query = "SELECT folder FROM runs UNION SELECT folder FROM deleted"
            owned = {row["folder"] for row in connection.execute(query)}
        candidates = self.path.iterdir() if among is None else among
        return sorted(path for path in candidates if path.is_dir() and path.name not in owned)

    def adopt(self, among: Sequence[Path] | None = None) -> list[str]:
        """Insert the runs of orphaned folders, as `orphans`, into the history, the oldest first; their ids.

        A folder whose run cannot be taken is moved to `quarantine` with the reason, and hinders no other.
        """
        if not any((path / FACTS).is_file() for path in self.orphans(among)):
            return []
        adopted, refused = [], []
        with self._database.writing() as connection:  # holds the write lock, so no run is deleted meanwhile
            found: list[tuple[RunFacts, Path]] = []
            for path in self.orphans(among):
                if not (path / FACTS).is_file():
                    continue
                try:
                    found.append((_checked(path), path))
                except (OSError, ValueError) as error:
                    refused.append((path, _refusal(error)))
            for facts, path in sorted(found, key=lambda one: (one[0].created, one[0].position)):
                if self._belongs_to_a_run(connection, facts.id, path.name):
                    continue
                connection.execute("SAVEPOINT adopted")
                try:
                    _insert(connection, facts, path.name, _rows(path))
                    adopted.append(facts.id)
                except (sqlite3.IntegrityError, sqlite3.DataError, OverflowError, ValueError) as error:
                    connection.execute("ROLLBACK TO adopted")
                    refused.append((path, _refusal(error)))
                connection.execute("RELEASE adopted")
            for path, why in refused:
                self._put_away(path, why)
        return adopted

    @property
    def quarantine(self) -> Path:
        """The folder of those folders whose run could not be taken into the history."""
        return self.path.parent / "quarantine"

    def _belongs_to_a_run(self, connection: sqlite3.Connection, run_id: str, name: str) -> bool:
        """Assign the folder to the run with this id where the run's own is missing; return whether it was."""
        row = connection.execute("SELECT number, folder FROM runs WHERE id = ?", (run_id,)).fetchone()
        if row is None or (self.path / str(row["folder"])).is_dir():
            return False
        connection.execute("UPDATE runs SET folder = ? WHERE number = ?", (name, row["number"]))
        return True

    def mend_ids(self) -> list[str]:
        """Give runs whose id is damaged the one that their folder tells, with its rows; the ids.

        Rows that then belong to no run are removed.
        """
        mended = []
        with self._database.writing() as connection:
            runs = connection.execute(
                "SELECT number, id, CAST(folder AS TEXT) AS folder FROM runs"
            ).fetchall()
            known = {row["id"] for row in runs}
            for row in runs:
                facts = _read(self.path / row["folder"])
                if facts is None or facts.id in known:
                    continue
                told = connection.execute("SELECT 1 FROM rows WHERE run_id = ? LIMIT 1", (facts.id,))
                if facts.id != row["folder"] and told.fetchone() is None:
                    continue  # it is the folder's that is damaged
                self._replace(connection, row["number"], row["folder"], facts)
                mended.append(facts.id)
            connection.execute("DELETE FROM rows WHERE run_id NOT IN (SELECT id FROM runs)")
        return mended

    def _put_away(self, folder: Path, why: str) -> None:
        """Move a folder to the quarantine; where the disk refuses that, it is left and said again."""
        there = self.quarantine / folder.name
        with suppress(OSError):
            self.quarantine.mkdir(mode=0o700, exist_ok=True)
            if there.exists():
                there = there.with_name(f"{folder.name}.{secrets.token_hex(4)}")
            os.replace(folder, there)
            with open(there / REASON, "w", encoding="utf-8", opener=private) as reason:
                reason.write(f"{why}\n")
        log.warning("The run in %s was not taken into the history, and is put into %s: %s", folder.name,
                    self.quarantine.name, why)  # fmt: skip

    def quarantined(self) -> dict[str, str]:
        """Return the reason why each folder is in the quarantine, by the folder's name."""
        found = {}
        for folder in sorted(self.quarantine.glob("*/")):
            try:
                found[folder.name] = (folder / REASON).read_text(encoding="utf-8", errors="replace").strip()
            except OSError:
                found[folder.name] = "nobody knows why"
        return found


def insert_folders(connection: sqlite3.Connection, folders: Iterable[Path]) -> None:
    """Insert the runs of these folders into an empty history, in the order in which they were made.

    Raises:
        OSError, ValueError: one of them has no run that can be read.
    """
    found = [(_checked(folder), folder) for folder in folders]
    for facts, folder in sorted(found, key=lambda one: (one[0].created, one[0].position)):
        _insert(connection, facts, folder.name, _rows(folder))


def _insert(
    connection: sqlite3.Connection, facts: RunFacts, folder: str, written_rows: Sequence[dict[str, Any]]
) -> None:
    values = facts.model_dump()
    if facts.state not in states.FINAL:
        values |= {"state": "interrupted", "reason": LOST, "ended": facts.queued}
    for row in written_rows:
        event = json.loads(row["data"]) | {"step": row["step"]}
        values |= rows.columns(row["kind"], event, values["result"])
    values = RunFacts.model_validate(values).model_dump() | {"folder": folder}
    values["token_hash"] = owners.upgraded_hash(facts.token_hash)
    connection.execute(
        f"INSERT INTO runs ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
        tuple(values.values()),
    )
    connection.executemany(
        "INSERT INTO rows (run_id, kind, step, data) VALUES (?, ?, ?, ?)",
        [(facts.id, row["kind"], row["step"], row["data"]) for row in written_rows],
    )


def _rows_in_history(connection: sqlite3.Connection, run_id: str) -> list[dict[str, Any]]:
    """Return the run's rows in the history, damaged ones too."""
    query = "SELECT kind, step, data FROM rows WHERE run_id = ? ORDER BY cursor"
    return [dict(row) for row in connection.execute(query, (run_id,))]


def _progress(state: str | None, written_rows: Sequence[dict[str, Any]]) -> tuple[int, bool]:
    """Return how far a run has come by its rows and state: the number of steps, and whether it ended."""
    kinds = [row["kind"] for row in written_rows]
    return kinds.count("step"), "done" in kinds and state in states.FINAL


def _checked(folder: Path) -> RunFacts:
    """Read and check `run.json` of a folder.

    Raises:
        OSError, ValueError: it cannot be read, or says what no run can.
    """
    return RunFacts.model_validate_json((folder / FACTS).read_bytes())


def _read(folder: Path) -> RunFacts | None:
    """Read `run.json` of a folder; return None where it is missing or damaged."""
    try:
        return _checked(folder)
    except (OSError, ValueError):
        return None


def _refusal(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return explain(error, RunFacts)
    if isinstance(error, sqlite3.IntegrityError):
        return "The history has a run of this id already."
    return str(error)[:300]


def _rows(folder: Path) -> list[dict[str, Any]]:
    """Read `rows.jsonl` of a folder without the rows that a resumed run has replaced by later ones."""
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
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError):  # the last one may be cut off
                row = RowFacts.model_validate_json(line).model_dump()
                if is_row(**row):
                    yield row


def _is_gone(place: Path) -> bool:
    try:
        return not place.exists()
    except OSError:  # such as of a mount that does not answer
        return False


def _write(file: Path, text: str) -> None:
    with replacing(file, private=True) as new:
        new.write_text(text, encoding="utf-8")


def private(path: str, flags: int) -> int:
    """Open a file that nobody else on this machine can read: an opener for `open`."""
    return os.open(path, flags, 0o600)
