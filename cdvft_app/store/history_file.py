"""The history as one ZIP file: ended runs, a folder each, exported and imported.

An import is a command for the owner of the machine, who trusts the file. No member leaves the run's folder.
"""

from __future__ import annotations

import json
import math
import re
import secrets
import shutil
import zipfile
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from cdvft_app.archives import DAMAGE, require_safe
from cdvft_app.files import is_full, remove_left, replacing
from cdvft_app.store import recorded, states
from cdvft_app.store.folders import FACTS, read_facts, write_facts
from cdvft_app.store.records import ID, StoreError
from cdvft_app.store.runs import RunStore

OF_THE_OWNER = ("token_hash", "visitor")
"""Columns that leave with no file."""
MAX_FILE_BYTES, MAX_MEMBERS = 20 * 10**9, 10**6
UNPACKED = ".unpacked-"  # before the names of folders into which runs are unpacked
_FILE = re.compile(
    r"(?P<run>[\w-]+)/(?P<path>run\.json|predictions\.safetensors|written_answers\.jsonl"
    r"|snapshots/step-\d{6,9}\.safetensors|adapter/[\w-][\w.-]*\.(?:safetensors|json|txt|md|jinja))",
    re.ASCII,
)
EXISTS = "{} exists. Choose another place, or remove it first."
NOT_A_HISTORY = "{} is not a history file ({}). Create one with `cdvft history export`."


def export_history(
    store: RunStore,
    out: Path,
    token: str | None = None,
    max_bytes: float = math.inf,
    only: Collection[str] | None = None,
) -> tuple[int, int]:
    """Write ended runs into one ZIP file, without checkpoints, tracebacks, and whose they are.

    Args:
        store: Has the runs.
        out: The file to create.
        token: Whose runs; None: everyone's.
        max_bytes: The most that all files take; the oldest runs are skipped.
        only: The ids to export; None: all.

    Returns:
        How many runs are in the file, and how many were skipped.

    Raises:
        StoreError: The file exists, or the disk refuses it.
    """
    if out.exists():
        raise StoreError(EXISTS.format(out))
    runs = [run for run in store.history(None, token) if run.state in states.FINAL]
    runs = [run for run in runs if only is None or run.id in only]
    sizes = accumulate(sum(path.stat().st_size for path in _files(store, run.id)) for run in runs)
    fitting = [run for run, size in zip(runs, sizes, strict=True) if size <= max_bytes]
    try:
        with replacing(out) as new, zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as archive:
            for run in fitting:
                folder = store.folder(run.id)
                for path in _files(store, run.id):
                    name = f"{run.id}/{path.relative_to(folder).as_posix()}"
                    if path == folder / FACTS:
                        archive.writestr(name, without_owner(path))
                    else:
                        archive.write(path, name)
    except OSError as error:
        full = "The disk is full: free some space, or choose another place."
        advice = full if is_full(error) else "Choose a folder that exists and can be written."
        raise StoreError(f"{out} cannot be written ({error.strerror or error}). {advice}") from error
    return len(fitting), len(runs) - len(fitting)


def without_owner(file: Path) -> str:
    """Return a `run.json` without the owner's hash and the visitor's address."""
    with suppress(OSError, ValueError):
        facts = json.loads(file.read_text(encoding="utf-8"))
        return json.dumps(
            {name: value for name, value in facts.items() if name not in OF_THE_OWNER}, indent=1
        )
    return "{}"


def _files(store: RunStore, run_id: str) -> list[Path]:
    """Return the files of a run's folder that a history file contains."""
    folder = store.folder(run_id)
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return [path for path in found if _FILE.fullmatch(f"{run_id}/{path.relative_to(folder).as_posix()}")]


# Import


@dataclass(frozen=True)
class ImportResult:
    """The ids of imported runs, how many runs were here before, and why others were rejected."""

    ids: list[str]
    known: int
    rejected: list[str]


def import_history(store: RunStore, file: Path) -> ImportResult:
    """Import the runs of a file that `export_history` wrote, for the owner of this machine.

    They keep their groups and visibility, and belong to the terminal. Files that a run does not have are
    skipped. The contents of a run's files are not checked: the owner trusts the file.

    Args:
        store: The runs' new place.
        file: The ZIP file.

    Raises:
        StoreError: Nothing was imported.
    """
    remove_left(store.root, UNPACKED)
    place = store.root / f"{UNPACKED}{secrets.token_hex(8)}"
    folders, rejected = list[Path](), list[str]()
    try:
        with zipfile.ZipFile(file) as archive:
            members = _members(archive)
            new = {run_id: names for run_id, names in members.items() if not _is_here(store, run_id)}
            for run_id, names in new.items():
                archive.extractall(place, names)
                try:
                    _disown(place / run_id)
                except (OSError, ValueError) as error:
                    rejected.append(f"{run_id}: {error}")
                    continue
                folders.append((place / run_id).rename(store.folders.path / run_id))
        rebuilt = store.folders.take_in(folders)
        for name in rebuilt.lost:
            shutil.rmtree(store.folders.path / name, ignore_errors=True)
    except DAMAGE as error:
        raise StoreError(NOT_A_HISTORY.format(file.name, str(error)[:100])) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
    rejected += [f"{name}: {why}" for name, why in rebuilt.lost.items()]
    return ImportResult(rebuilt.ids, len(members) - len(new), rejected)


def _is_here(store: RunStore, run_id: str) -> bool:
    return recorded.has_run(run_id) or (store.folders.path / run_id).exists()


def _members(archive: zipfile.ZipFile) -> dict[str, list[str]]:
    """Return the names of the members that are imported, by the id of their run."""
    require_safe(archive, members=MAX_MEMBERS, unpacked_bytes=MAX_FILE_BYTES, refused=StoreError)
    found: dict[str, list[str]] = {}
    for name in archive.namelist():
        match = _FILE.fullmatch(name)
        if match and ID.fullmatch(match["run"]):
            found.setdefault(match["run"], []).append(name)
    if not found:
        raise ValueError("it has no runs")
    return found


def _disown(folder: Path) -> None:
    """Remove the owner and the estimate, from which others are learned, from `run.json`."""
    facts, events = read_facts(folder)
    facts |= {name: json.loads(facts[name] or "null") for name in ("settings", "result")}
    write_facts(folder, facts | {**dict.fromkeys(OF_THE_OWNER), "forecast": None}, events)
