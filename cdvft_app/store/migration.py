"""Migrates the history's file to this version's format, after keeping a copy of it.

One process at a time does it, and only while no other has the file open: a program of an earlier version
would go on writing rows that this one misreads.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from filelock import FileLock

from cdvft_app.store.formats import LATER, TABLES, VERSION, add_functions
from cdvft_app.store.records import StoreError

LOCK_SECONDS = 60


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
