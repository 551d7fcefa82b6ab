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
    8: "CREATE TABLE deleted (folder TEXT PRIMARY KEY)",  # whose runs are gone, until they are, too
    # Who a run's seconds are counted for on a public server, NULL: nobody; and whom others may not see.
    9: """ALTER TABLE runs ADD COLUMN visitor TEXT;
ALTER TABLE runs ADD COLUMN private INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;
CREATE TABLE spent (                       -- seconds of this machine, by whom they were taken
    visitor TEXT NOT NULL,
    what TEXT NOT NULL,
    ended REAL NOT NULL,
    seconds REAL NOT NULL
);
CREATE INDEX spent_visitor ON spent (visitor, ended);
CREATE TABLE turns (visitor TEXT PRIMARY KEY, taken REAL NOT NULL)""",
    # What data of one's own is here, and whose.
    10: """CREATE TABLE datasets (
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
CREATE UNIQUE INDEX datasets_owner ON datasets (token_hash, sha256)""",
    # How many pairs are compared in the run's group; NULL: of before, as many as its runs make.
    11: "ALTER TABLE runs ADD COLUMN family INTEGER",
    # When its lease began and ends, by a clock that nobody sets, see `processes.moment`. Of an owner the hash
    # of what its browser presents, which was kept itself before, see `owners`.
    12: """ALTER TABLE runs ADD COLUMN began TEXT;
ALTER TABLE runs ADD COLUMN leased TEXT;
UPDATE runs SET token_hash = kept_hash(token_hash);
UPDATE datasets SET token_hash = kept_hash(token_hash)""",
}
VERSION = max(LATER)


def add_functions(connection: sqlite3.Connection) -> None:
    """What LATER calls."""
    connection.create_function("kept_hash", 1, owners.kept)


def lacking(connection: sqlite3.Connection) -> str | None:
    """A table or a column that a history of this format has and this file has not, such as by damage."""
    if connection.execute("PRAGMA user_version").fetchone() != (VERSION,):
        return None  # a migration makes it, or refuses
    for name, of in _columns(_empty()).items():
        if missing := of - _columns(connection).get(name, set()):
            return f"{name}.{min(missing)}"
    return None


def _empty() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    add_functions(connection)
    for script in (TABLES, *LATER.values()):
        connection.executescript(script)
    return connection


def _columns(connection: sqlite3.Connection) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    query = "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c"
    for table, column in connection.execute(query):
        found.setdefault(table, set()).add(column)
    return found


def migrate(path: Path) -> None:
    """Make the file at `path`, or bring it to the latest format.

    Raises:
        StoreError: it is of a later version, or a program that knows only its format has it open.
        sqlite3.Error, OSError: it cannot be written.
    """
    if path.is_file() and _version(path) == VERSION:
        return
    with FileLock(f"{path}.lock", timeout=LOCK_SECONDS):
        version = _version(path)
        if version > VERSION:
            raise StoreError(
                f"The history {path} was written by a newer version of this app (format {version}; this "
                f"one reads format {VERSION}). Update the app, or set RUNS_DIR to another folder."
            )
        if version == VERSION:
            return  # another process has just migrated it
        if version:
            require_exclusive(path, f"It has format {version} and must be brought to format {VERSION}.")
            copy(path, path.with_name(f"{path.stem}.format-{version}{path.suffix}"))
        with closing(_connect(path)) as connection:
            add_functions(connection)
            connection.execute("BEGIN EXCLUSIVE")
            scripts = {1: TABLES, **LATER}
            for later in range(version + 1, VERSION + 1):
                for statement in scripts[later].split(";\n"):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
            # Here, since it fails at once where two connections ask for it at the same time.
            connection.execute("PRAGMA journal_mode = WAL")


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


def _version(path: Path) -> int:
    with closing(_connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=10, isolation_level=None)
