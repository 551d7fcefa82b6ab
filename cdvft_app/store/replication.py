"""Copies of ended runs in a second place, from which a restart restores them.

SQLite's write-ahead log is not safe on a network mount, so the database itself stays on the local disk.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from cdvft_app.files import replacing_folder
from cdvft_app.settings.environment import environment
from cdvft_app.store import states
from cdvft_app.store.database import store_errors
from cdvft_app.store.folders import DELETED
from cdvft_app.store.records import ID
from cdvft_app.store.runs import RunStore

SECRET = "browser-secret"
"""The key to what browsers remember: without it no one owns what is restored."""
NOT_COPIED = ("checkpoints",)  # many times the size of the rest, and needed only to resume


def replicate(store: RunStore, run_id: str) -> None:
    """Copy a run that ended with something learned to CDVFT_KEPT, if that is set.

    Raises:
        StoreError: It cannot be copied.
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
        store.folders.refresh_copy(there / source.name)


def restore_replicas(store: RunStore) -> list[str]:
    """Take the runs of CDVFT_KEPT that the database lacks into it; return their ids.

    Raises:
        StoreError: They cannot be read, or there is no space.
    """
    there = environment().kept
    if there is None or not there.is_dir():
        return []
    here, copied = store.folders.path, []
    with store_errors(store.root):
        if (there / SECRET).is_file() and not (store.root / SECRET).exists():
            shutil.copy(there / SECRET, store.root / SECRET)
        for folder in sorted(there.iterdir()):
            known = (here / folder.name).exists() or (here / f"{DELETED}{folder.name}").exists()
            if ID.fullmatch(folder.name) and not known:
                _copy(folder, here / folder.name, store.root)
                copied.append(here / folder.name)
    return store.folders.take_in(copied).ids


def _copy(source: Path, there: Path, beside: Path) -> None:
    """Copy a folder without its checkpoints, by way of one in `beside`: in its place it is whole."""
    with replacing_folder(there, beside) as new:
        shutil.copytree(source, new, ignore=shutil.ignore_patterns(*NOT_COPIED), dirs_exist_ok=True)
