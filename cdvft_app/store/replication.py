"""Copies of ended runs in a second place, from which a restart brings them back.

SQLite's write-ahead log is not safe on a network mount, so the history itself stays on the local disk. A
run's folder has all that is known of it, which `Folders.adopt` takes into a history.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from cdvft_app.files import replacing_folder
from cdvft_app.settings.environment import environment
from cdvft_app.store import states
from cdvft_app.store.database import store_errors
from cdvft_app.store.records import ID
from cdvft_app.store.runs import RunStore

SECRET = "browser-secret"
"""The key to what browsers remember: without it nobody owns what is brought back."""
NOT_COPIED = ("checkpoints",)  # many times the size of the rest, and of use only to go on


def replicate(store: RunStore, run_id: str) -> None:
    """Copy a run that ended with something learned to CDVFT_KEPT, if there is one.

    Raises:
        StoreError: it cannot be copied.
    """
    there, run = environment().kept, store.get(run_id)
    if there is None or run is None or run.state not in states.USABLE or not run.step:
        return
    source = store.folder(run_id)
    with store_errors(there):
        there.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            shutil.copy(store.root / SECRET, there / SECRET)
        _copy(source, there / source.name, there)
    store.folders.keep_in_copy(run_id)  # what was changed while it was copied


def restore_replicas(store: RunStore) -> list[str]:
    """Take the runs that CDVFT_KEPT has and the history lacks into the history; return their ids.

    Raises:
        StoreError: it cannot be read, or there is no room.
    """
    there = environment().kept
    if there is None or not there.is_dir():
        return []
    with store_errors(store.root):
        if (there / SECRET).is_file() and not (store.root / SECRET).exists():
            shutil.copy(there / SECRET, store.root / SECRET)
        for folder in sorted(there.iterdir()):
            if ID.fullmatch(folder.name) and not (store.folders.path / folder.name).exists():
                _copy(folder, store.folders.path / folder.name, store.root)
    return store.folders.adopt()


def _copy(source: Path, there: Path, beside: Path) -> None:
    """Copy a folder without its checkpoints, by way of one in `beside`: in its place it is whole."""
    with replacing_folder(there, beside) as new:
        shutil.copytree(source, new, ignore=shutil.ignore_patterns(*NOT_COPIED), dirs_exist_ok=True)
