"""The history's SQLite file: its tables, connections, transactions, and its errors as sentences.

Write-ahead logging lets many readers read while one writes. With synchronous=NORMAL a killed process loses no
committed row; a power cut may lose the last ones, never the file.

One process at a time migrates the file to this version's format, after keeping a copy, and only while no
other has it open: a program of an earlier version would go on writing rows that this one misreads.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

from filelock import FileLock

from cdvft_app.files import is_full, replacing
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
UPDATE runs SET token_hash = upgraded_hash(token_hash);
UPDATE datasets SET token_hash = upgraded_hash(token_hash);
""",
}


def lacking(connection: sqlite3.Connection) -> str | None:
    """Return a table or column of this format that the file lacks, such as by damage; None without any."""
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
            connection.create_function("upgraded_hash", 1, owners.upgraded_hash)
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
    """Raise `StoreError` unless the file is a history of a format that is read here, or is missing.

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
    """Return the format of the history's file; 0 where it says none, or there is no file."""
    if 0 < (early := _format_in_header(path)) < OLDEST:
        return early
    if not path.is_file():
        return 0
    with closing(_connect(path)) as connection:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return version


def _format_in_header(path: Path) -> int:
    """Read by SQLite, which writes nothing of an immutable file: opened and closed otherwise, the file would
    lose the locks that this process holds on it, and another program would delete its log with all that is
    only there. Source: https://sqlite.org/howtocorrupt.html, 2.2.
    """
    if not path.is_file():
        return 0
    only_read = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(only_read, uri=True)) as connection:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return version
    return 0


def _holds_tables(path: Path) -> bool:
    if not path.is_file():
        return False
    with closing(_connect(path)) as connection:  # takes back what a killed program had begun to make
        return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None


def require_exclusive(path: Path, why: str) -> None:
    """Raise `StoreError` if a program has the file open; changes since the last checkpoint go into it."""
    with closing(_connect(path)) as connection, suppress(sqlite3.OperationalError):
        # SQLite leaves write-ahead logging only for the one connection that has the file open.
        if connection.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",):
            return
    raise StoreError(f"Another program has the history {path} open. {why} Stop that program, then try again.")


def copy(path: Path, target: Path) -> None:
    """A whole copy of the file, by SQLite's own backup, while others may read and write it."""
    with replacing(target) as unfinished:
        unfinished.unlink(missing_ok=True)
        with closing(_connect(path)) as source, closing(_connect(unfinished)) as new:
            source.backup(new)
            new.execute("PRAGMA journal_mode = DELETE")


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=10, isolation_level=None)


class Database:
    """The file at `path`, for any number of threads: each use takes a connection of its own from a pool.

    One that is `immutable` is never written: SQLite takes no lock of it and looks for no log beside it.
    """

    def __init__(self, path: Path, *, immutable: bool = False) -> None:
        self.path = path
        self._immutable = immutable
        self._idle: deque[sqlite3.Connection] = deque()  # its append and pop are atomic
        if immutable:
            return
        with store_errors(path):
            migrate(path)
        for file in (path, path.with_name(f"{path.name}.lock")):
            with suppress(OSError):  # somebody else's
                file.chmod(0o600)  # the write-ahead log gets what the file has

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for one SELECT; it waits for no writer."""
        with store_errors(Path(self.path.name)):  # visitors see it, too: where it lies is not for them
            connection, reusable = self._idle.pop() if self._idle else self._connect(), True
            try:
                yield connection
            except sqlite3.Error:
                reusable = False  # one that was opened on a read-only disk stays read-only
                raise
            finally:
                if reusable:
                    self._idle.append(connection)
                else:
                    connection.close()

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
        connect = partial(sqlite3.connect, timeout=10, isolation_level=None, check_same_thread=False)
        if self._immutable:
            connection = connect(f"{self.path.as_uri()}?mode=ro&immutable=1", uri=True)
        else:
            connection = connect(self.path)
        connection.row_factory = sqlite3.Row
        # Text that a disk has damaged is refused where its row is read, not with every row beside it.
        connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
        if self._immutable:
            return connection
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and the file system on `path` into a `StoreError` that says what to do."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
        raise  # the app's own mistake
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:  # the last where SQLite's own error is
        message = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        if is_full(error):
            advice = "The disk is full: free some space, or set RUNS_DIR to a folder on another disk."
        elif "locked" in message:
            advice = "Another program holds it; close that program, or try again in a moment."
        elif any(sign in message for sign in ("malformed", "not a database", "no such", "codec can't")):
            advice = "The file is damaged; `python -m cdvft_app doctor` mends it."
        else:
            advice = "Set RUNS_DIR to a folder that can be written."
        raise StoreError(f"The history {path} cannot be used ({message}). {advice}") from error
