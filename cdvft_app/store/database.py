"""The SQLite database of runs: its schema, connections, transactions, and its errors as messages.

Write-ahead logging lets many readers read while one writes. With synchronous=NORMAL a killed process loses no
committed row; a power cut may lose the last ones, never the file.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path

from filelock import FileLock

from cdvft_app.files import is_full
from cdvft_app.store.records import StoreError

LOCK_SECONDS = 60
VERSION = 13
TABLES = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of creation
    id TEXT NOT NULL UNIQUE,                   -- also the name of its folder
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
    device TEXT,
    result TEXT NOT NULL DEFAULT '{}',
    created REAL NOT NULL,
    queued REAL NOT NULL,
    started REAL,
    ended REAL,
    process TEXT,                              -- who holds its lease
    forecast TEXT,                             -- the estimate from before it began
    sweep INTEGER NOT NULL DEFAULT 0,
    epoch INTEGER NOT NULL DEFAULT 0,          -- the number of its lease, and when that ends
    lease_until REAL,
    visitor TEXT,                              -- whose quota its seconds are counted for; NULL: no one's
    private INTEGER NOT NULL DEFAULT 0,        -- set by the owner
    hidden INTEGER NOT NULL DEFAULT 0,         -- set by the operator
    family INTEGER,                            -- how many pairs its group compares; NULL: as many as it has
    began TEXT,                                -- of the lease, by a monotonic clock, see `processes`
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
CREATE TABLE measurements (
    what TEXT NOT NULL,                        -- JSON: model, method, setting, targets, batch, sequence
    device TEXT NOT NULL,
    time REAL NOT NULL,
    result TEXT NOT NULL,
    PRIMARY KEY (what, device)
);
CREATE TABLE spent (visitor TEXT NOT NULL, what TEXT NOT NULL, ended REAL NOT NULL, seconds REAL NOT NULL);
CREATE INDEX spent_visitor ON spent (visitor, ended);
CREATE TABLE turns (visitor TEXT PRIMARY KEY, taken REAL NOT NULL);
CREATE TABLE datasets (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    token_hash TEXT,                           -- NULL: uploaded in a terminal
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,                      -- of the uploaded file, and its folder's name
    format TEXT NOT NULL,
    kind TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    created REAL NOT NULL,
    used REAL NOT NULL
);
CREATE UNIQUE INDEX datasets_owner ON datasets (token_hash, sha256);
"""
OTHER_VERSION = (
    "The database {path} has format {found}; this version of the app reads format {VERSION} only. Set "
    "RUNS_DIR to another folder, or move the database away."
)
IN_USE = "The database {path} is in use by another program. Stop that program, or try again in a moment."
EMPTY = "empty"
_READ_ONLY = 8
# Primary result codes of SQLite that tell nothing about the file's contents. Source: sqlite.org/rescode.html
_BUSY, _NOT_OF_THE_FILE = {5, 6}, {3, 7, 8, 10, 13, 14, 23}


def create_tables(connection: sqlite3.Connection) -> None:
    """Create the schema inside the caller's transaction."""
    for statement in TABLES.split(";\n"):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def prepare(path: Path, fill: Callable[[sqlite3.Connection], None]) -> tuple[str, Path | None]:
    """Create the database if it is missing or damaged, and fill it, in one transaction.

    Args:
        path: The database's file.
        fill: Inserts what is known from elsewhere into the new database.

    Returns:
        What was wrong, "" for a sound database; and the file that a damaged one was moved to.

    Raises:
        StoreError: The file is a database of another version or program, or in use.
        sqlite3.Error, OSError: The file cannot be read or written.
    """
    if not _damage(path):
        return "", None
    with FileLock(f"{path}.lock", timeout=LOCK_SECONDS):
        if not (damage := _damage(path)):
            return "", None  # another process was first
        aside = set_aside(path)
        with closing(_connect(path)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            create_tables(connection)
            fill(connection)
            connection.execute("COMMIT")
            # Under the lock: two connections that ask for it at once fail.
            connection.execute("PRAGMA journal_mode = WAL")
    return damage, aside


def _damage(path: Path) -> str:
    """Return what is wrong with the file, "missing" included; "" for a sound database of this version."""
    if not path.is_file():
        return "missing"
    try:
        with closing(_connect(path)) as connection:
            message: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if message != "ok":
                return message
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
            schema = _schema(connection)
            if (version, schema) == (0, ()):
                return EMPTY
            if (version == VERSION) != (schema == _expected_schema()):
                return "its schema or version number is damaged"
            if version != VERSION:
                raise StoreError(OTHER_VERSION.format(path=path, found=version, VERSION=VERSION))
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"PRAGMA user_version = {VERSION}")  # fails if the header makes it read-only
            connection.execute("ROLLBACK")
            return ""
    except UnicodeDecodeError as error:
        return str(error)
    except sqlite3.DatabaseError as error:
        code = _code(error)
        if code in _BUSY:
            raise StoreError(IN_USE.format(path=path)) from error
        if code in _NOT_OF_THE_FILE and not (code == _READ_ONLY and os.access(path, os.W_OK)):
            raise
        return str(error)


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code; 0 for an error of Python's module."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _schema(connection: sqlite3.Connection) -> tuple[str | None, ...]:
    return tuple(row[0] for row in connection.execute("SELECT sql FROM sqlite_master ORDER BY name"))


@lru_cache(maxsize=1)
def _expected_schema() -> tuple[str | None, ...]:
    with closing(sqlite3.connect(":memory:")) as empty:
        create_tables(empty)
        return _schema(empty)


def set_aside(path: Path) -> Path | None:
    """Move the database and its log away; return the new path, or None if there was no database.

    A log that outlived its database goes, too: SQLite would write it into the next one.

    Raises:
        StoreError: A program has the database open.
    """
    if path.is_file():
        try:
            with closing(_connect(path)) as connection:
                # SQLite leaves write-ahead logging only for the one connection that has the file open.
                connection.execute("PRAGMA journal_mode = DELETE").fetchone()
        except UnicodeDecodeError:
            pass
        except sqlite3.DatabaseError as error:
            if _code(error) in _BUSY:
                raise StoreError(IN_USE.format(path=path)) from error
    aside = path.with_name(f"{path.stem}.damaged-{time.strftime('%Y%m%d-%H%M%S')}{path.suffix}")
    known = path.exists()
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside if known else None


def copy_database(path: Path, target: Path) -> None:
    """Write a whole copy of the database to `target` by SQLite's online backup, while others use it."""
    with closing(_connect(path)) as source, closing(_connect(target)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=10, isolation_level=None)


class Database:
    """The database at `path`, for any number of threads: each use takes a connection from a pool.

    In a folder that cannot be written it can be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: deque[sqlite3.Connection] = deque()  # its append and pop are atomic
        self._read_only = path.is_file() and not os.access(path.parent, os.W_OK)

    def prepare(self, fill: Callable[[sqlite3.Connection], None]) -> tuple[str, Path | None]:
        """Call `prepare` for this database; a read-only one is taken as it is."""
        if self._read_only:
            return "", None
        with store_errors(self.path):
            damage = prepare(self.path, fill)
        for file in (self.path, self.path.with_name(f"{self.path.name}.lock")):
            with suppress(OSError):  # it belongs to another user
                file.chmod(0o600)  # the write-ahead log gets the mode of the database
        return damage

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for one SELECT; it waits for no writer."""
        with store_errors(Path(self.path.name)):  # visitors see the message, so it has no folder
            connection, reusable = self._idle.pop() if self._idle else self._connect(), True
            try:
                yield connection
            except sqlite3.Error:
                reusable = False  # a connection opened on a read-only disk stays read-only
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
        if self._read_only:
            log = self.path.with_name(f"{self.path.name}-wal")
            mode = "mode=ro" if log.exists() else "immutable=1"  # without a log SQLite would make one
            connection = connect(f"{self.path.as_uri()}?{mode}", uri=True)
        else:
            connection = connect(self.path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
        return _configured(connection)


def _configured(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.row_factory = sqlite3.Row
    # Damaged text is rejected where its row is read, and not with every row of the query.
    connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
    return connection


class DatabaseInMemory(Database):
    """A database from the bytes of a file, which no one can write."""

    def __init__(self, content: bytes) -> None:
        super().__init__(Path("recorded runs"))
        self._content = content

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        connection.deserialize(self._content)
        connection.execute("PRAGMA query_only = ON")
        return _configured(connection)


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and the file system on `path` into a `StoreError` with advice."""
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
            advice = "The file is damaged. Start the app again to rebuild it from the run folders."
        else:
            advice = "Set RUNS_DIR to a folder that can be written."
        raise StoreError(f"The database {path} cannot be used ({message}). {advice}") from error
