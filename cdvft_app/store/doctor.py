"""Checks a store and repairs what it can: the history, the runs' folders, their files; backup and restore."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cdvft_app.store import snapshots, states
from cdvft_app.store.database import (
    OLDEST,
    VERSION,
    copy,
    lacking,
    require_exclusive,
    require_readable,
    store_errors,
)
from cdvft_app.store.records import RunRecord, StoreError
from cdvft_app.store.runs import HISTORY, RunStore


@dataclass(frozen=True)
class Finding:
    """One fault that was found: a sentence, and whether it was repaired."""

    text: str
    mended: bool = True


def examine(root: Path) -> Iterator[Finding]:
    """Check the store in `root` and mend it, one finding after the other; a sound store has none.

    Raises:
        StoreError: the history cannot be opened, such as while another program uses a damaged one.
    """
    yield from _history(root / HISTORY)
    store = RunStore(root)
    try:
        if mended := store.folders.mend_ids():
            yield Finding(f"{_runs(mended)} had a damaged id: taken back from their folders.")
        if adopted := store.folders.adopt():
            yield Finding(f"{_runs(adopted)} taken into the history from their folders.")
        if gone := store.leases.expire():
            yield Finding(f"{_runs(gone)} of a program that has ended: now interrupted, and can be resumed.")
        store.folders.sweep()
        for run in store.history(None):
            yield from _run(store, run)
        for name, why in store.folders.quarantined().items():
            text = f"{store.folders.quarantine / name} was no run that the history can take: {why}"
            yield Finding(f"{text} Mend its run.json and move it back into runs, or remove it.", mended=False)
        for orphan in store.folders.orphans():
            if any(orphan.iterdir()):
                text = f"{orphan} belongs to no run and says nothing of one: look into it, then remove it."
                yield Finding(text, mended=False)
            else:
                orphan.rmdir()
                yield Finding(f"{orphan} was empty and belonged to no run: removed.")
    finally:
        store.close()


def _history(path: Path) -> Iterator[Finding]:
    if not path.is_file():
        if any((path.parent / "runs").glob("*/")):
            yield Finding(f"{path} was missing: begun anew.")
        return
    try:
        require_readable(path)
        with closing(sqlite3.connect(path)) as connection:
            message = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if message == "ok" and (lost := lacking(connection)):
                message = f"it has no {lost}"
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        message = str(error)
        if "unable to open" in message or "readonly" in message:  # nothing is known of it, then
            with store_errors(path):
                raise
    except OSError:
        with store_errors(path):
            raise
    if message != "ok":
        if "locked" in message:
            raise StoreError(f"The history {path} is in use ({message}). Try again in a moment.")
        aside = _aside(path, "damaged")
        yield Finding(f"{path} was damaged ({message}): now {aside.name}, and made anew from the folders.")


def _run(store: RunStore, run: RunRecord) -> Iterator[Finding]:
    folder, name = store.folder(run.id), f"Run {run.id} (“{run.name}”)"
    if not folder.is_dir():
        store.make_folder(run.id)
        lost = run.step > 0
        what = "its checkpoints, factors and adapter are lost" if lost else "made again"
        yield Finding(f"{name} had no folder: {what}.", mended=not lost)
    elif (
        run.state == "finished"
        and (adapter := run.result.get("adapter_folder"))
        and not any((folder / adapter).glob("*.safetensors"))
    ):
        yield Finding(f"{name} has no adapter's weights any more; its curves are kept.", mended=False)
    for step in snapshots.damaged(folder):
        snapshots.remove(folder, step)
        yield Finding(f"{name}: its factors at step {step} could not be read and are removed.")
    if run.state in states.ACTIVE:
        return
    difference = store.folders.difference(run.id)
    if difference > 0:
        store.folders.restore(run.id)
        store.folders.rewrite(run.id)
        yield Finding(f"{name}: its folder told more than the history; taken back from there.")
    elif run.damaged:
        text = f"{name} is damaged, and its folder tells nothing more: it stays as a damaged entry."
        yield Finding(f"{text} `python -m cdvft_app delete {run.id}` removes it.", mended=False)
    elif difference < 0:
        if count := store.folders.drop_damaged_rows(run.id):
            yield Finding(f"{name}: {count} of its rows could not be read and are removed.")
        store.folders.rewrite(run.id)
        yield Finding(f"{name}: its folder told less than the history; written anew.")


def backup(root: Path, target: Path) -> None:
    """A copy of the history, while servers may go on; the folders of runs are copied as any others."""
    if target.exists():
        raise StoreError(f"{target} exists already; name a file that does not.")
    if not (root / HISTORY).is_file():  # SQLite would make an empty one
        raise StoreError(f"{root} has no history that could be copied. Set RUNS_DIR to the folder that has.")
    with store_errors(target):
        copy(root / HISTORY, target)


def restore(root: Path, source: Path) -> Path | None:
    """Put a backup in the place of the history, which is kept beside it; where, if there was one.

    Runs that are younger than the backup come back from their folders when the store is opened.

    Raises:
        StoreError: the backup is none, or a program has the history open.
    """
    try:
        with closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            sound = connection.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
            version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreError(f"{source} is no backup of a history ({error}).") from error
    if not sound or not OLDEST <= version <= VERSION:
        raise StoreError(
            f"{source} is damaged, or of a format that is not read here: it has format {version}; formats "
            f"{OLDEST} to {VERSION} are."
        )
    path = root / HISTORY
    with store_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        known = path.is_file()
        aside = _aside(path, "replaced")  # also a log that outlived the file: SQLite would write it into any
        copy(source, path)
    return aside if known else None


def _aside(path: Path, word: str) -> Path:
    """Move the history and what belongs to it away, unless a program has it open; where it is now."""
    with store_errors(path):
        try:
            if path.is_file():  # else SQLite would make one
                require_exclusive(path, "It is to be replaced.")
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if "locked" in str(error):
                raise
        aside = path.with_name(f"{path.stem}.{word}-{time.strftime('%Y%m%d-%H%M%S')}{path.suffix}")
        for suffix in ("-wal", "-shm", ""):
            belonging = path.with_name(path.name + suffix)
            if belonging.exists():
                belonging.rename(aside.with_name(aside.name + suffix))
    return aside


def _runs(ids: list[str]) -> str:
    return f"1 run ({ids[0]})" if len(ids) == 1 else f"{len(ids)} runs"
