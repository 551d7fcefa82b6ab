"""The history's SQLite file: connections, transactions, and its errors as sentences.

Write-ahead logging lets many readers read while one writes. With synchronous=NORMAL a killed process loses no
committed row; a power cut may lose the last ones, never the file.
"""

from __future__ import annotations

import errno
import re
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from cdvft_app.store.records import StoreError
from cdvft_app.store.schema import migrate

_FULL = re.compile("disk is full|No space left|os error 28")


class Database:
    """The file at `path`, for any number of threads: each use takes a connection of its own from a pool."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: deque[sqlite3.Connection] = deque()  # its append and pop are atomic
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
        connection = sqlite3.connect(self.path, timeout=10, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        # Text that a disk has damaged is refused where its row is read, not with every row beside it.
        connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
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


@contextmanager
def output_errors(out: Path) -> Iterator[None]:
    """The same for a file that is made of the history, in a place that somebody named."""
    try:
        yield
    except OSError as error:
        advice = (
            "The disk is full: free some space, or choose another place."
            if is_full(error)
            else "Choose a folder that is there and can be written."
        )
        raise StoreError(f"{out} cannot be written ({error.strerror or error}). {advice}") from error


def is_full(error: BaseException) -> bool:
    """Whether there is no room left on the disk, as Python, SQLite, or what is written in Rust says it."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or bool(_FULL.search(str(error)))
