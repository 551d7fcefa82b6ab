"""What of a run travels between the page and the node that trains it, and where large checkpoints lie."""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from cdvft_app.catalog.uploaded import ROWS
from cdvft_app.settings.environment import data_folder
from cdvft_app.store.folders import FACTS
from cdvft_app.store.history_file import OF_THE_OWNER
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.training import checkpoints
from cdvft_app.training.checkpoints import CHECKPOINTS

PACKED = ".zip"
PIECE = 64 * 1024  # bytes; Ray puts into its object store what has more than 100 KiB
STORED = f"{CHECKPOINTS}/stored.json"
"""Says which checkpoint lies in CDVFT_STORAGE, and where."""
MAX_CHECKPOINT = 64 * 2**20  # bytes of one that travels
# All that a node may put into a run's folder.
COMES_BACK = re.compile(
    r"snapshots/step-\d{6,9}\.safetensors|checkpoints/(checkpoint-\d{1,9}|stored\.json)|adapter"
    r"|predictions\.safetensors|written_answers\.jsonl|error\.txt",
    re.ASCII,
)


def needed(store: RunStore, run: RunRecord) -> Iterator[tuple[str, Path | str]]:
    """The files that a node needs to go on with a run, by their names in its RUNS_DIR; a text is one, too.

    A checkpoint is a folder, which travels packed. Whose the run is stays here.
    """
    folder = store.folder(run.id)
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    yield f"runs/{run.id}/{FACTS}", json.dumps({**facts, **dict.fromkeys(OF_THE_OWNER)})
    kept, stored = checkpoints.newest(folder / CHECKPOINTS)[0], stored_checkpoint(folder)
    if kept is not None and (stored is None or checkpoints.step(kept) > stored["step"]):
        yield f"runs/{run.id}/{CHECKPOINTS}/{kept.name}{PACKED}", kept
    elif stored is not None:
        yield f"runs/{run.id}/{STORED}", folder / STORED
    for sha256 in run.settings.data.files if run.settings.data else ():
        yield f"data/{sha256}/{ROWS}", data_folder() / sha256 / ROWS


def newest_step(folder: Path) -> int:
    """Of the newest checkpoint that the page has of a run, or knows to be stored; 0 where there is none."""
    kept, stored = checkpoints.newest(folder / CHECKPOINTS)[0], stored_checkpoint(folder)
    return max(checkpoints.step(kept) if kept else 0, stored["step"] if stored else 0)


def stored_checkpoint(folder: Path) -> dict[str, Any] | None:
    """{"step", "address"} of the run's checkpoint that is stored elsewhere, if there is one."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads((folder / STORED).read_text(encoding="utf-8"))
        return {"step": int(found["step"]), "address": str(found["address"])}
    return None


def store_checkpoint(packed: Path, step: int, storage: str, folder: Path) -> None:
    """Put a packed checkpoint into the storage in the place of the one before, and write down where it is.

    Raises:
        Exception: whatever the storage's own package raises.
    """
    import fsspec

    before = stored_checkpoint(folder)
    address = f"{storage.rstrip('/')}/checkpoint-{step}{PACKED}"
    files, path = fsspec.core.url_to_fs(address)
    files.makedirs(path.rpartition("/")[0], exist_ok=True)
    files.put_file(str(packed), path)
    unfinished = folder / f"{STORED}.unfinished"
    unfinished.write_text(json.dumps({"step": step, "address": address}), encoding="utf-8")
    os.replace(unfinished, folder / STORED)
    if before is not None:
        with suppress(Exception):  # one too many does no harm
            files.rm_file(fsspec.core.url_to_fs(before["address"])[1])


def fetch_stored(folder: Path) -> None:
    """Bring the run's stored checkpoint, if there is one, to where training looks for it.

    Raises:
        Exception: whatever the storage's own package raises.
    """
    stored = stored_checkpoint(folder)
    if stored is None:
        return
    import fsspec

    files, path = fsspec.core.url_to_fs(stored["address"])
    packed = folder / CHECKPOINTS / f"checkpoint-{stored['step']}{PACKED}"
    files.get_file(path, str(packed))
    unpack(packed)


def pack(source: Path, packed: Path) -> None:
    """A folder as a zip."""
    packed.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(source.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(source))


def unpack(packed: Path) -> None:
    """The folder that was packed, in the place of the zip; whole as soon as it is there."""
    folder = packed.with_suffix("")
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(unfinished)  # no member leads out of it: zipfile sees to that
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(unfinished, folder)
    packed.unlink()


def inside(folder: Path, name: str) -> Path:
    """The place of a file by its name in the folder.

    Raises:
        ValueError: it leads out of it.
    """
    place = (folder / name).resolve()
    if not place.is_relative_to(folder.resolve()):
        raise ValueError(f"{name[:80]!r} leads out of the run's folder")
    return place
