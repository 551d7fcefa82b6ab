"""Ended runs in a second place, from which a restart brings them back; and the whole history as one file.

SQLite's write-ahead log is not safe on a network mount, so the history itself stays on the local disk. A
run's folder has all that is known of it, which `Folders.adopt` takes into a history.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path, PurePosixPath

from cdvft_app.settings import RunSettings
from cdvft_app.store import states
from cdvft_app.store.database import output_errors, store_errors
from cdvft_app.store.folders import FACTS
from cdvft_app.store.location import kept_folder
from cdvft_app.store.records import ID, StoreError
from cdvft_app.store.runs import RunStore

SECRET = "browser-secret"
"""The key to what browsers remember: without it nobody owns what is brought back."""
EVERY_RUN = 10**9
NOT_KEPT = ("checkpoints",)  # many times the size of the rest, and of use only to go on
OF_THE_OWNER = ("token_hash", "visitor")
MAX_BYTES = 20 * 10**9  # of a file's content, unpacked


def keep(store: RunStore, run_id: str) -> None:
    """Copy a run that ended with something learned to CDVFT_KEPT, if there is one.

    Raises:
        StoreError: it cannot be copied.
    """
    there, run = kept_folder(), store.get(run_id)
    if there is None or run is None or run.state not in states.USABLE or not run.step:
        return
    source = store.folder(run_id)
    with store_errors(there):
        there.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            shutil.copy(store.root / SECRET, there / SECRET)
        _copy(source, there / source.name, there)


def bring_back(store: RunStore) -> list[str]:
    """Take what CDVFT_KEPT has and the history has not; the runs' ids.

    Raises:
        StoreError: it cannot be read, or there is no room.
    """
    there = kept_folder()
    if there is None or not there.is_dir():
        return []
    with store_errors(store.root):
        if (there / SECRET).is_file() and not (store.root / SECRET).exists():
            shutil.copy(there / SECRET, store.root / SECRET)
        for folder in sorted(there.iterdir()):
            if ID.fullmatch(folder.name) and not (store.folders.path / folder.name).exists():
                _copy(folder, store.folders.path / folder.name, store.root)
    return store.folders.adopt()


def export_history(
    store: RunStore, out: Path, token: str | None = None, most_bytes: float = math.inf
) -> tuple[int, int]:
    """All ended runs as one zip, a folder each, without checkpoints; with `token`, its owner's only.

    Whose they were is not in it: who takes them in through the page owns them there.

    Returns:
        How many are in it, and how many, the oldest, were left out: all files take `most_bytes` at most.

    Raises:
        StoreError: it is there already, or the disk refuses it.
    """
    if out.exists():
        raise StoreError(f"{out} is already there; choose another place, or remove it first.")
    runs = [run for run in store.history(EVERY_RUN, token) if run.state in states.FINAL]
    sizes = accumulate(sum(path.stat().st_size for path in _files(store.folder(run.id))) for run in runs)
    fitting = [run for run, size in zip(runs, sizes, strict=True) if size <= most_bytes]
    unfinished = out.with_name(f"{out.name}.unfinished")
    with output_errors(out):
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive:
            for run in fitting:
                folder = store.folder(run.id)
                for path in _files(folder):
                    name = Path(run.id, path.relative_to(folder))
                    if path == folder / FACTS:
                        archive.writestr(str(name), _without_owner(path))
                    else:
                        archive.write(path, name)
        os.replace(unfinished, out)
    return len(fitting), len(runs) - len(fitting)


def import_history(store: RunStore, file: Path) -> list[str]:
    """Take the runs of such a zip that are not here yet; their ids.

    Raises:
        StoreError: it is not such a zip, or the disk refuses it.
    """
    with store_errors(store.root), _opened(file) as archive:
        names = _folders(archive, file)
        with tempfile.TemporaryDirectory(prefix=".import-", dir=store.root) as place:
            for name, members in names.items():
                if (store.folders.path / name).exists():
                    continue
                for member in members:
                    archive.extract(member, place)
                if _is_run(Path(place, name)):
                    os.replace(Path(place, name), store.folders.path / name)
    return store.folders.adopt()


def _without_owner(file: Path) -> str:
    """A run's facts without who made it: neither the owner's hash nor a visitor's address leaves."""
    with suppress(OSError, ValueError):
        facts = json.loads(file.read_text(encoding="utf-8"))
        return json.dumps(
            {name: value for name, value in facts.items() if name not in OF_THE_OWNER}, indent=1
        )
    return "{}"


def _copy(source: Path, there: Path, beside: Path) -> None:
    """The folder without its checkpoints, by way of one in `beside`: in its place it is whole."""
    unfinished = beside / f".{there.name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(source, unfinished, ignore=shutil.ignore_patterns(*NOT_KEPT))
    shutil.rmtree(there, ignore_errors=True)
    os.replace(unfinished, there)


def _files(folder: Path) -> list[Path]:
    """All of a run that is kept elsewhere, too."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [path for path in found if path.relative_to(folder).parts[0] not in NOT_KEPT]


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except zipfile.BadZipFile:
        raise StoreError(f"{file} is not a zip of a history; `history export` writes one.") from None


def _folders(archive: zipfile.ZipFile, file: Path) -> dict[str, list[zipfile.ZipInfo]]:
    """The archive's files by the run that they are of; a name that leads elsewhere is refused."""
    found: dict[str, list[zipfile.ZipInfo]] = {}
    for member in archive.infolist():
        parts = PurePosixPath(member.filename).parts
        if member.is_dir():
            continue
        if len(parts) < 2 or not ID.fullmatch(parts[0]) or ".." in parts:
            raise StoreError(f"{file} holds {member.filename[:80]!r}, which is of no run; nothing was taken.")
        found.setdefault(parts[0], []).append(member)
    size = sum(member.file_size for members in found.values() for member in members)
    if size > MAX_BYTES:
        raise StoreError(f"{file} unpacks to {size / 1e9:.0f} GB; at most {MAX_BYTES / 1e9:.0f} are taken.")
    return found


def _is_run(folder: Path) -> bool:
    """Whether its facts can be read back, as a history must be able to."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        RunSettings.model_validate_json(facts["settings"])
        return facts["id"] == folder.name and facts["state"] in states.STATES
    return False
