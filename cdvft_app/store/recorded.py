"""Runs that ship with the program, as a folder each: `run.json`, `rows.jsonl`, and what the run learned.

Their history is built from these texts where it is first asked for, in the user's cache, and opened so that
SQLite takes no lock of it and writes no log: the folders may lie where nobody can write. Such a run has no
owner and has ended, so that nothing trains, changes, counts or deletes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from cdvft_app import ASSETS
from cdvft_app.settings.environment import cache_folder
from cdvft_app.store.database import TABLES, VERSION, Database
from cdvft_app.store.folders import FACTS, ROWS, insert_folders
from cdvft_app.store.records import possible_id

FOLDER = ASSETS / "recorded_runs"  # written by benchmarks/record_race.py


@lru_cache(maxsize=1)
def _groups() -> Mapping[str, str]:
    """Return each run's group by the run's id; a Job has none of these runs."""
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
    """Return the history of these runs, built first where this version of it is not there yet.

    Raises:
        OSError: neither the user's cache nor the folder for temporary files can be written.
    """
    texts = [folder / name for folder in _folders() for name in (FACTS, ROWS)]
    digest = hashlib.sha256(f"{VERSION}\0{TABLES}".encode())
    for text in texts:
        digest.update(text.read_bytes())
    name = f"recorded-{digest.hexdigest()[:16]}.sqlite"
    try:
        file = cache_folder() / name
        if not file.is_file():
            _build(file)
    except OSError:  # a cache that cannot be written: a folder that nobody else can write stands in
        file = Path(tempfile.mkdtemp(prefix="cdvft-")) / name
        _build(file)
    return Database(file, immutable=True)


def _folders() -> list[Path]:
    return [FOLDER / run_id for run_id in ids()]


def _build(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    os.close(handle)
    try:
        with closing(sqlite3.connect(unfinished)) as connection, connection:
            connection.executescript(TABLES)
            insert_folders(connection, _folders())
            connection.execute(f"PRAGMA user_version = {VERSION}")
        os.replace(unfinished, file)
    finally:
        Path(unfinished).unlink(missing_ok=True)
