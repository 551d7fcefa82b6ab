"""Events as rows: how one is kept, and how those after a cursor are read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from cdvft_app.events import Done, Event, Started, Step, encode
from cdvft_app.store import leases
from cdvft_app.store.records import IN_RESULT, is_row, json_object

MAX_CURSOR = 2**63 - 1

# The run's columns that a row of this kind brings up to date, beside its state and result.
COLUMNS_OF: dict[str, tuple[str, ...]] = {
    "started": ("total_steps", "trainable_parameters", "metric_name", "device"),
    "step": ("step", "seconds"),
    "evaluation": ("metric_name", "metric"),
    "done": ("step", "seconds", "metric_name", "metric"),
}


def columns(kind: str, values: dict[str, Any], result: str) -> dict[str, Any]:
    """Return new values of the run's columns that an event changes; `result` is that column's old value."""
    changed = {column: values[column] for column in COLUMNS_OF.get(kind, ())}
    if kind in IN_RESULT:
        changed["result"] = json.dumps(json_object(result) | values)
    return changed


def append(connection: sqlite3.Connection, number: int, event: Event) -> sqlite3.Row:
    """Keep an event of the run inside the caller's transaction; return the new row."""
    run = connection.execute("SELECT * FROM runs WHERE number = ?", (number,)).fetchone()
    values = encode(event)
    if isinstance(event, Step) and event.step <= run["step"]:
        connection.execute("DELETE FROM rows WHERE run_id = ? AND step >= ?", (run["id"], event.step))
    if isinstance(event, Started) and run["state"] == "preparing":
        leases.move(connection, number, "running")
    if isinstance(event, Done):
        leases.move(connection, number, event.state)
    kind = type(event).__name__.lower()
    changed = columns(kind, values, run["result"])
    if changed:
        leases.update(connection, number, changed)
    step = values.pop("step", None)
    return connection.execute(
        "INSERT INTO rows (run_id, kind, step, data) VALUES (?, ?, ?, ?) RETURNING cursor, kind, step, data",
        (run["id"], kind, step, json.dumps(values)),
    ).fetchone()


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
    rows = [
        {key: row[key] for key in ("cursor", "kind", "step")} | json.loads(row["data"])
        for row in found
        if is_row(row["kind"], row["step"], row["data"])
    ]
    return rows, found[-1]["cursor"] if found else cursor
