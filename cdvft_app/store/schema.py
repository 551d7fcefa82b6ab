"""The history's tables, and the migration of its file to this version's format.

One process at a time migrates, after keeping a copy, and only while no other has the file open: a program of
an earlier version would go on writing rows that this one misreads.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from filelock import FileLock

from cdvft_app.store import owners
from cdvft_app.store.records import StoreError

LOCK_SECONDS = 60
VERSION, OLDEST = 12, 11
TABLES = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of making
    id TEXT NOT NULL UNIQUE,
    group_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    token_hash TEXT,                           -- of the owner, see `owners`; NULL: made in a terminal
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
    device TEXT,                               -- as pages name it
    result TEXT NOT NULL DEFAULT '{}',
    created REAL NOT NULL,
    queued REAL NOT NULL,
    started REAL,
    ended REAL,
    process TEXT,                              -- who holds its lease
    forecast TEXT,                             -- what was promised before it began; NULL: nothing
    sweep INTEGER NOT NULL DEFAULT 0,          -- 1: one of a sweep's many
    folder TEXT,
    epoch INTEGER NOT NULL DEFAULT 0,          -- the number of its lease, and when that ends
    lease_until REAL,
    visitor TEXT,                              -- who its seconds are counted for; NULL: nobody
    private INTEGER NOT NULL DEFAULT 0,        -- by the owner's wish
    hidden INTEGER NOT NULL DEFAULT 0,         -- by the operator's
    family INTEGER,                            -- how many pairs its group compares; NULL: as many as it makes
    began TEXT,                                -- of the lease, by a clock that nobody sets, see `processes`
    leased TEXT
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
CREATE TABLE deleted (
    folder TEXT PRIMARY KEY                    -- whose run is gone, until it is, too
);
CREATE TABLE measurements (
    what TEXT NOT NULL,                        -- JSON: model, method, setting, targets, batch, sequence
    device TEXT NOT NULL,
    time REAL NOT NULL,
    result TEXT NOT NULL,
    PRIMARY KEY (what, device)
);
CREATE TABLE spent (                           -- seconds of this machine, by whom they were taken
    visitor TEXT NOT NULL,
    what TEXT NOT NULL,
    ended REAL NOT NULL,
    seconds REAL NOT NULL
);
CREATE INDEX spent_visitor ON spent (visitor, ended);
CREATE TABLE turns (visitor TEXT PRIMARY KEY, taken REAL NOT NULL);
CREATE TABLE datasets (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    token_hash TEXT,                           -- NULL: given in a terminal
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,                      -- of the file that was given, and its folder's name
    format TEXT NOT NULL,
    kind TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    created REAL NOT NULL,
    used REAL NOT NULL
);
CREATE UNIQUE INDEX datasets_owner ON datasets (token_hash, sha256);
"""
MIGRATIONS: dict[int, str] = {  # format -> what it changed in the one before
    12: """
ALTER TABLE runs ADD COLUMN began TEXT;
ALTER TABLE runs ADD COLUMN leased TEXT;
UPDATE runs SET token_hash = kept_hash(token_hash);
UPDATE datasets SET token_hash = kept_hash(token_hash);
""",
}


def lacking(connection: sqlite3.Connection) -> str | None:
    """A table or a column that a history of this format has and this file has not, such as by damage."""
    if connection.execute("PRAGMA user_version").fetchone() != (VERSION,):
        return None  # a migration makes it, or refuses
    with closing(sqlite3.connect(":memory:")) as empty:
        empty.executescript(TABLES)
        expected = _columns(empty)
    for name, of in expected.items():
        if missing := of - _columns(connection).get(name, set()):
            return f"{name}.{min(missing)}"
    return None


def _columns(connection: sqlite3.Connection) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    query = "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c"
    for table, column in connection.execute(query):
        found.setdefault(table, set()).add(column)
    return found


def migrate(path: Path) -> None:
    """Make the file at `path`, or bring it to the latest format.

    Raises:
        StoreError: its format cannot be read here, or another program has it open.
        sqlite3.Error, OSError: it cannot be written.
    """
    if format_of(path) == VERSION:
        return
    with FileLock(f"{path}.lock", timeout=LOCK_SECONDS):
        if (version := format_of(path)) == VERSION:
            return  # another process has just migrated it
        require_readable(path)
        if version:
            require_exclusive(path, f"It has format {version} and must be brought to format {VERSION}.")
            copy(path, path.with_name(f"{path.stem}.format-{version}{path.suffix}"))
        with closing(_connect(path)) as connection:
            connection.create_function("kept_hash", 1, owners.kept)
            connection.execute("BEGIN EXCLUSIVE")
            steps = range(version + 1, VERSION + 1)
            for script in [MIGRATIONS[step] for step in steps] if version else [TABLES]:
                for statement in script.split(";\n"):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
            # Here, since it fails at once where two connections ask for it at the same time.
            connection.execute("PRAGMA journal_mode = WAL")


def require_readable(path: Path) -> None:
    """`StoreError` unless the file is a history of a format that is read here, or there is none yet.

    Nothing of an early one is changed: SQLite, which may write a log back into it, does not open it.
    """
    version = format_of(path)
    if version > VERSION:
        raise StoreError(
            f"The history {path} was written by a newer version of this app (format {version}; this one "
            f"reads format {VERSION}). Update the app, or set RUNS_DIR to another folder."
        )
    if 0 < version < OLDEST:
        raise StoreError(
            f"The history {path} has format {version}, which no release wrote; formats {OLDEST} to {VERSION} "
            "are read here. It is left as it is: set RUNS_DIR to another folder, or move it away."
        )
    if version == 0 and _holds_tables(path):
        raise StoreError(
            f"{path} is a database that says no format: no history, or a damaged one. It is left as it is: "
            "set RUNS_DIR to another folder, or move it away."
        )


def format_of(path: Path) -> int:
    """The format of the history's file; 0 where it says none, or there is no file."""
    if 0 < (early := _format_in_header(path)) < OLDEST:
        return early
    if not path.is_file():
        return 0
    with closing(_connect(path)) as connection:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return version


def _format_in_header(path: Path) -> int:
    with suppress(FileNotFoundError), path.open("rb") as file:
        header = file.read(100)
        if header.startswith(b"SQLite format 3\0"):
            return int.from_bytes(header[60:64], "big")
    return 0


def _holds_tables(path: Path) -> bool:
    if not path.is_file():
        return False
    with closing(_connect(path)) as connection:  # takes back what a killed program had begun to make
        return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None


def require_exclusive(path: Path, why: str) -> None:
    """`StoreError` if any program has the file open; its changes since the last checkpoint go into it."""
    with closing(_connect(path)) as connection, suppress(sqlite3.OperationalError):
        # SQLite leaves write-ahead logging only for the one connection that has the file open.
        if connection.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",):
            return
    raise StoreError(f"Another program has the history {path} open. {why} Stop that program, then try again.")


def copy(path: Path, target: Path) -> None:
    """A whole copy of the file, by SQLite's own backup, while others may read and write it."""
    unfinished = target.with_name(f"{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    with closing(_connect(path)) as source, closing(_connect(unfinished)) as new:
        source.backup(new)
        new.execute("PRAGMA journal_mode = DELETE")
    os.replace(unfinished, target)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=10, isolation_level=None)
