"""Runs that ship with the program: a folder each, with `run.json` and the adapter.

Their database is built in memory when it is first needed, since the folders may be where no one can write.
Such a run has no owner and has ended: nothing trains, changes, counts, or deletes it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import lru_cache

from cdvft_app import ASSETS
from cdvft_app.store.database import Database, DatabaseInMemory, create_tables
from cdvft_app.store.folders import FACTS, insert, read_facts
from cdvft_app.store.records import possible_id

FOLDER = ASSETS / "recorded_runs"  # written by benchmarks/record_race.py


@lru_cache(maxsize=1)
def _groups() -> Mapping[str, str]:
    """Return each run's group by the run's id; an HF Job has none of these runs."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob(f"*/{FACTS}"))]
    return {facts["id"]: facts["group_id"] for facts in found}


def has_run(run_id: object) -> bool:
    return possible_id(run_id) in _groups()


def has_group(group_id: object) -> bool:
    return possible_id(group_id) in _groups().values()


def ids() -> list[str]:
    return list(_groups())


@lru_cache(maxsize=1)
def database() -> Database:
    """Return the database of these runs."""
    with closing(sqlite3.connect(":memory:")) as connection:
        create_tables(connection)
        for run_id in ids():
            insert(connection, *read_facts(FOLDER / run_id))
        connection.commit()
        return DatabaseInMemory(connection.serialize())
