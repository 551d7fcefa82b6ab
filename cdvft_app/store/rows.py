"""Events as rows of the database: how one is written, and how those after a cursor are read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from cdvft_app.events import Done, Event, Started, Step, encode
from cdvft_app.store import leases
from cdvft_app.store.records import IN_RESULT, json_object, readable_event

MAX_CURSOR = 2**63 - 1

# The run's columns that an event of this kind updates, besides its state and result.
COLUMNS_OF: dict[str, tuple[str, ...]] = {
    "started": ("total_steps", "trainable_parameters", "metric_name", "device"),
    "step": ("step", "seconds"),
    "evaluation": ("metric_name", "metric"),
    "done": ("step", "seconds", "metric_name", "metric"),
}


def columns(kind: str, values: dict[str, Any], result: str) -> dict[str, Any]:
    """Return new values of the run's columns that an event updates; `result` is that column's old value."""
    changed = {column: values[column] for column in COLUMNS_OF.get(kind, ())}
    if kind in IN_RESULT:
        changed["result"] = json.dumps(json_object(result) | values)
    return changed


def append(connection: sqlite3.Connection, number: int, event: Event) -> int:
    """Write an event of the run inside the caller's transaction; return the new row's cursor."""
    run = connection.execute("SELECT * FROM runs WHERE number = ?", (number,)).fetchone()
    kind, values = type(event).__name__.lower(), encode(event)
    if isinstance(event, Step) and event.step <= run["step"]:
        connection.execute("DELETE FROM rows WHERE run_id = ? AND step >= ?", (run["id"], event.step))
    if isinstance(event, Started) and run["state"] == "preparing":
        leases.move(connection, number, "running")
    if isinstance(event, Done):
        leases.move(connection, number, event.state)
    if changed := columns(kind, values, run["result"]):
        leases.update(connection, number, changed)
    return insert(connection, run["id"], kind, values)


def insert(connection: sqlite3.Connection, run_id: str, kind: str, values: dict[str, Any]) -> int:
    """Insert a row of an event's fields; return its cursor."""
    rest = {name: value for name, value in values.items() if name not in ("kind", "step")}
    query = "INSERT INTO rows (run_id, kind, step, data) VALUES (?, ?, ?, ?) RETURNING cursor"
    row = connection.execute(query, (run_id, kind, values.get("step"), json.dumps(rest))).fetchone()
    cursor: int = row[0]
    return cursor


def last(connection: sqlite3.Connection, run_id: str) -> int:
    """Return the cursor of the run's latest row, 0 without any; a cursor is never given twice."""
    return connection.execute("SELECT max(cursor) FROM rows WHERE run_id = ?", (run_id,)).fetchone()[0] or 0


def after(
    connection: sqlite3.Connection, run_id: str, cursor: int, kinds: Sequence[str] | None, limit: int
) -> tuple[list[dict[str, Any]], int]:
    """Return at most `limit` rows after `cursor`, without damaged ones, and the cursor of the last one."""
    cursor = min(max(cursor, 0), MAX_CURSOR)
    kind_condition = "" if kinds is None else f" AND kind IN ({', '.join('?' * len(kinds))})"
    found = connection.execute(
        f"SELECT cursor, kind, step, data FROM rows WHERE run_id = ? AND cursor > ?{kind_condition}"
        " ORDER BY cursor LIMIT ?",
        (run_id, cursor, *(kinds or ()), max(limit, 0)),
    ).fetchall()
    read = [(row, readable_event(row["kind"], row["step"], row["data"])) for row in found]
    rows = [
        {key: row[key] for key in ("cursor", "kind", "step")} | values
        for row, values in read
        if values is not None
    ]
    return rows, found[-1]["cursor"] if found else cursor
