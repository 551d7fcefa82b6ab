"""The history's SQLite file: its tables, their version, how it is opened, and its troubles as sentences.

Write-ahead logging lets many readers read while one writes. With synchronous=NORMAL a killed process loses no
committed row; a power cut may lose the last ones, never the file.
"""

from __future__ import annotations

import errno
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cdvft_app.store.records import StoreError

# The tables of format 1. A history of any older format, a new one among them, gets what it lacks from LATER.
TABLES = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of making
    id TEXT NOT NULL UNIQUE,
    group_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    token_hash TEXT,                           -- NULL: started from a terminal, owned by nobody on the page
    name TEXT NOT NULL,
    settings TEXT NOT NULL,
    method TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    step INTEGER NOT NULL DEFAULT 0,
    total_steps INTEGER,
    trainable_parameters INTEGER,
    metric_name TEXT,
    metric REAL,
    seconds REAL,
    device TEXT,
    result TEXT NOT NULL DEFAULT '{}',
    created REAL NOT NULL,
    queued REAL NOT NULL,
    started REAL,
    ended REAL,
    process TEXT
);
CREATE INDEX runs_group ON runs (group_id, position);
CREATE INDEX runs_state ON runs (state, queued, number);
CREATE TABLE rows (
    cursor INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    step INTEGER,
    data TEXT NOT NULL
);
CREATE INDEX rows_run ON rows (run_id, cursor);
"""
LATER: dict[int, str] = {  # format -> what it changed in the one before
    2: "ALTER TABLE runs ADD COLUMN forecast TEXT",  # what was promised before it began; NULL: nothing
    3: "ALTER TABLE runs ADD COLUMN sweep INTEGER NOT NULL DEFAULT 0",  # 1: one of a sweep's many
    4: """CREATE TABLE measurements (
    what TEXT NOT NULL,                        -- JSON: model, method, setting, targets, batch, sequence
    device TEXT NOT NULL,
    time REAL NOT NULL,
    result TEXT NOT NULL,
    PRIMARY KEY (what, device)
)""",
    # Devices by the names that pages give them.
    5: """UPDATE runs SET device = 'CPU' || substr(device, 4) WHERE device LIKE 'cpu%';
UPDATE runs SET device = 'Apple GPU' WHERE device = 'mps'""",
    # The run's folder, once named by its number, which came again after a ROLLBACK; now by its id.
    6: """ALTER TABLE runs ADD COLUMN folder TEXT;
UPDATE runs SET folder = printf('%06d', number)""",
    # Who trains a run: the lease's number, and when it ends unless it is renewed.
    7: """ALTER TABLE runs ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN lease_until REAL""",
}
VERSION = max(LATER)


class Database:
    """The file at `path`, for any number of threads: each use borrows a connection that nobody else has."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: deque[sqlite3.Connection] = deque()  # its append and pop are atomic
        with self.writing() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise StoreError(
                    f"The history {path} was written by a newer version of this app (format {version}; this "
                    f"one reads format {VERSION}). Update the app, or set RUNS_DIR to another folder."
                )
            if version < VERSION:
                scripts = {1: TABLES, **LATER}
                for later in range(version + 1, VERSION + 1):
                    for statement in scripts[later].split(";\n"):
                        connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for one SELECT; it waits for no writer."""
        with sentences(self.path):
            connection = self._idle.pop() if self._idle else self._connect()
            try:
                yield connection
            finally:
                self._idle.append(connection)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock: all of it is kept, or nothing."""
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> sqlite3.Connection:
        # Autocommit: the transactions above are the only ones.
        connection = sqlite3.connect(self.path, timeout=10, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


@contextmanager
def sentences(path: Path) -> Iterator[None]:
    """What SQLite or the file system says about `path`, as a `StoreError` that tells what to do."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
        raise  # the app's own mistake
    except (sqlite3.Error, OSError) as error:
        said = str(error)
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "full" in said:
            advice = "The disk is full: free some space, or set RUNS_DIR to a folder on another disk."
        elif "locked" in said:
            advice = "Another program holds it; close that program, or try again in a moment."
        elif "malformed" in said or "not a database" in said:
            advice = "The file is damaged: move it away to begin a new history, or put a copy back."
        else:
            advice = "Set RUNS_DIR to a folder that can be written."
        raise StoreError(f"The history {path} cannot be used ({said}). {advice}") from error
