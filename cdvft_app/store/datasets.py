"""Who owns which uploaded data: each owner's name for a file; several may have uploaded the same bytes.

The rows themselves lie in a folder named by the SHA-256 of the bytes; who has them is told to nobody else.
"""

from __future__ import annotations

import dataclasses
import secrets
import sqlite3
import time
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from cdvft_app.store import states
from cdvft_app.store.database import Database
from cdvft_app.store.owners import owner_hash
from cdvft_app.store.records import StoreError, possible_id, require_name, visible_name


class UnknownData(StoreError):
    """The asker has no data with this id."""


@dataclass(frozen=True)
class DataRecord:
    """An uploaded dataset: `bytes` on the disk, `rows` that can be read, and when it was last `used`."""

    id: str
    name: str
    sha256: str
    format: str
    kind: Literal["text", "image"]
    bytes: int
    rows: int
    created: float
    used: float


COLUMNS = ", ".join(field.name for field in dataclasses.fields(DataRecord))
_RECORD = TypeAdapter(DataRecord)
# Of the data that a run learns from; none where its settings are damaged.
_FILES = [
    f"CASE WHEN json_valid(settings) THEN json_extract(settings, '$.data.{name}') END"
    for name in ("sha256", "evaluation_sha256")
]


class Datasets:
    """`RunStore.datasets`; any thread and process may use it. A token of None is the terminal's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, token: str | None, name: str, *, sha256: str, format: str, kind: str, bytes: int, rows: int
    ) -> DataRecord:
        """Keep a name for the bytes; the one that the owner has already, with the new name, if any."""
        now, name = time.time(), visible_name(name) or "data"
        with self._database.writing() as connection:
            owner = "token_hash IS ? AND sha256 = ?"
            query = f"UPDATE datasets SET name = ?, used = ? WHERE {owner} RETURNING id"
            found = connection.execute(query, (name, now, owner_hash(token), sha256)).fetchone()
            data_id = found["id"] if found else secrets.token_hex(16)
            if not found:
                values = (data_id, owner_hash(token), name, sha256, format, kind, bytes, rows, now, now)
                connection.execute(
                    "INSERT INTO datasets (id, token_hash, name, sha256, format, kind, bytes, rows, created,"
                    " used) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    values,
                )
            return _require_data(connection, data_id, token)

    def of(self, token: str | None) -> list[DataRecord]:
        """Return the owner's data, the latest first."""
        query = f"SELECT {COLUMNS} FROM datasets WHERE token_hash IS ? ORDER BY number DESC"
        with self._database.reading() as connection:
            found = [_record(row) for row in connection.execute(query, (owner_hash(token),))]
        return [one for one in found if one is not None]

    def get(self, data_id: object, token: str | None) -> DataRecord:
        """Return the owner's data with this id; raise `UnknownData` for none, and for another's."""
        with self._database.reading() as connection:
            return _require_data(connection, data_id, token)

    def has(self, token: str | None, sha256: str) -> bool:
        """Return whether the owner uploaded a file with this SHA-256."""
        query = "SELECT 1 FROM datasets WHERE token_hash IS ? AND sha256 = ?"
        with self._database.reading() as connection:
            return connection.execute(query, (owner_hash(token), sha256)).fetchone() is not None

    def name_of(self, sha256: str) -> str | None:
        """Return the name that was given last to a file with this SHA-256; None where nobody has one."""
        query = "SELECT name FROM datasets WHERE sha256 = ? ORDER BY number DESC"
        with self._database.reading() as connection:
            found = connection.execute(query, (sha256,)).fetchone()
        return found["name"] if found else None

    def is_owned(self, sha256: str) -> bool:
        """Return whether anybody uploaded a file with this SHA-256."""
        query = "SELECT 1 FROM datasets WHERE sha256 = ?"
        with self._database.reading() as connection:
            return connection.execute(query, (sha256,)).fetchone() is not None

    def total_bytes(self, token: str | None) -> int:
        """Return the bytes on the disk of all the owner's datasets, whoever else uploaded the same."""
        query = "SELECT coalesce(sum(bytes), 0) FROM datasets WHERE token_hash IS ?"
        with self._database.reading() as connection:
            return connection.execute(query, (owner_hash(token),)).fetchone()[0]

    def rename(self, data_id: object, name: str, token: str | None) -> None:
        visible = require_name(name)
        with self._database.writing() as connection:
            found = _require_data(connection, data_id, token)
            connection.execute("UPDATE datasets SET name = ? WHERE id = ?", (visible, found.id))

    def delete(self, data_id: object, token: str | None) -> str | None:
        """Forget it; the SHA-256 of bytes that now nobody has, to be removed."""
        with self._database.writing() as connection:
            found = _require_data(connection, data_id, token)
            connection.execute("DELETE FROM datasets WHERE id = ?", (found.id,))
            query = "SELECT 1 FROM datasets WHERE sha256 = ?"
            return None if connection.execute(query, (found.sha256,)).fetchone() else found.sha256

    def use(self, sha256: str, token: str | None) -> None:
        """Record that the owner uses the dataset now."""
        query = "UPDATE datasets SET used = ? WHERE token_hash IS ? AND sha256 = ?"
        with self._database.writing() as connection:
            connection.execute(query, (time.time(), owner_hash(token), sha256))

    def expire(self, hours: float) -> list[str]:
        """Forget what its owner has not used for so long; the SHA-256 of bytes that now nobody has.

        What a run of the owner waits for, or learns from, is in use.
        """
        now = time.time()
        mark_in_use = (
            "UPDATE datasets SET used = ? WHERE EXISTS (SELECT 1 FROM runs WHERE runs.token_hash IS "
            f"datasets.token_hash AND state IN {states.sql(states.UNFINISHED)} AND datasets.sha256 IN "
            f"({', '.join(_FILES)}))"
        )
        query = "DELETE FROM datasets WHERE used < ? RETURNING sha256"
        with self._database.writing() as connection:
            connection.execute(mark_in_use, (now,))
            gone = {row["sha256"] for row in connection.execute(query, (now - 3600 * hours,)).fetchall()}
            kept = {row["sha256"] for row in connection.execute("SELECT sha256 FROM datasets").fetchall()}
        return sorted(gone - kept)

    def runs_on(self, sha256: str, token: str | None) -> list[str]:
        """Return the ids of the owner's runs that learned from this file, the latest first."""
        query = (
            f"SELECT id FROM runs WHERE token_hash IS ? AND ? IN ({', '.join(_FILES)}) ORDER BY number DESC"
        )
        with self._database.reading() as connection:
            return [row["id"] for row in connection.execute(query, (owner_hash(token), sha256))]


def _require_data(connection: sqlite3.Connection, data_id: object, token: str | None) -> DataRecord:
    query = f"SELECT {COLUMNS} FROM datasets WHERE id = ? AND token_hash IS ?"
    row = connection.execute(query, (possible_id(data_id), owner_hash(token))).fetchone()
    if row is None or (found := _record(row)) is None:
        raise UnknownData(f"You have no data {str(data_id)[:40]!r} here; it may have been deleted.")
    return found


def _record(row: sqlite3.Row) -> DataRecord | None:
    """Read a row of the table; return None where it is damaged."""
    try:
        return _RECORD.validate_python(dict(row))
    except ValidationError:
        return None
