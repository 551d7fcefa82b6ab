"""Inserts a new run into the history."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from cdvft_app.settings import RunSettings
from cdvft_app.store import states
from cdvft_app.store.records import RunRecord, select


def insert(
    connection: sqlite3.Connection,
    settings: RunSettings,
    *,
    position: int,
    name: str,
    forecast: Mapping[str, Any] | None,
    shared: Mapping[str, Any],
    process: str | None,
) -> RunRecord:
    """Insert a queued run inside the caller's transaction; with `process`, one that it trains already.

    `shared` are the columns that are the same for all runs of its group.
    """
    run_id, now = secrets.token_hex(16), time.time()  # no id begins with "-", as options do
    values = {
        **shared,
        "id": run_id,
        "folder": run_id,
        "position": position,
        "name": name or settings.recipe,
        "settings": settings.model_dump_json(),
        "method": settings.method.key,
        "state": "queued",
        "created": now,
        "queued": now,
        "forecast": json.dumps(forecast) if forecast else None,
    }
    columns, places = ", ".join(values), ", ".join("?" * len(values))
    query = f"INSERT INTO runs ({columns}) VALUES ({places}) RETURNING number"
    number = connection.execute(query, tuple(values.values())).fetchone()["number"]
    if process is not None:
        states.move(connection, number, "preparing", process=process)
    return select(connection, "WHERE number = ?", number)[0]
