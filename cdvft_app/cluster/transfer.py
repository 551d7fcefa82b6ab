"""What of a run is transferred between the page and the nodes that train it; where large checkpoints lie."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cdvft_app.catalog.uploaded import ROWS
from cdvft_app.files import replacing, replacing_folder
from cdvft_app.settings.environment import data_folder
from cdvft_app.store import processes
from cdvft_app.store.folders import FACTS
from cdvft_app.store.history_file import without_owner
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.training import checkpoints
from cdvft_app.training.checkpoints import CHECKPOINTS

PACKED = ".zip"
HOLDER = "holder"  # in a run's folder on the node: the process whose it is
PIECE = 64 * 1024  # bytes; Ray puts into its object store what has more than 100 KiB
STORED = f"{CHECKPOINTS}/stored.json"
"""Says which checkpoint lies in CDVFT_STORAGE, and where."""
MAX_CHECKPOINT = 64 * 2**20  # bytes of one that is transferred
# All that a node may put into a run's folder.
COMES_BACK = re.compile(
    r"snapshots/step-\d{6,9}\.safetensors|checkpoints/(checkpoint-\d{1,9}|stored\.json)|adapter"
    r"|predictions\.safetensors|written_answers\.jsonl|error\.txt",
    re.ASCII,
)


@dataclass(frozen=True)
class Order:
    """One attempt of a run, and all that a node needs to train it.

    Args:
        run_id: of the run.
        attempt: number of it.
        files: names in the node's RUNS_DIR, each with the file or folder here, or a text.
        limit: seconds after which it fails there, with a checkpoint.
        resources: Requested from a node: CPU, GPU, and the cluster's own.
        threads: for OMP_NUM_THREADS; "": as many as it asks processors.
        storage: takes checkpoints that are too large to transfer.
        trainer: a `Train` by its name.
    """

    run_id: str
    attempt: int
    files: Mapping[str, Path | str]
    limit: float | None
    resources: Mapping[str, float]
    threads: str
    storage: str
    trainer: str

    @property
    def name(self) -> str:
        """The actor's name."""
        return f"{self.run_id}-{self.attempt}"


@dataclass
class Update:
    """The report of a run: all that is new after the row of a given number.

    Args:
        rows: of the node's store, in order.
        last: the number of the latest.
        files: can be read now: what the rows name, the newest checkpoint, and after the end what was learned.
        checkpoint: that checkpoint's name, whether it is transferred or not.
        node: where the run is; "": it waits for a place.
        state: None until the run has ended.
        reason: why it ended in that state.
        lost: why nothing more is to be expected of the attempt, in a sentence.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    last: int = 0
    files: list[str] = field(default_factory=list)
    checkpoint: str = ""
    node: str = ""
    state: str | None = None
    reason: str = ""
    lost: str | None = None


def needed(store: RunStore, run: RunRecord) -> Iterator[tuple[str, Path | str]]:
    """Yield the files that a node needs to go on with a run, by their names in its RUNS_DIR; a text is one,
    too.

    A checkpoint is a folder, which is sent packed. Whose the run is stays here.
    """
    folder = store.folder(run.id)
    facts = json.loads(without_owner(folder / FACTS)) | {"events": []}  # the follower has them
    yield f"runs/{run.id}/{FACTS}", json.dumps(facts)
    kept, stored = checkpoints.newest(folder / CHECKPOINTS)[0], stored_checkpoint(folder)
    if kept is not None and (stored is None or checkpoints.step(kept) > stored["step"]):
        yield f"runs/{run.id}/{CHECKPOINTS}/{kept.name}{PACKED}", kept
    elif stored is not None:
        yield f"runs/{run.id}/{STORED}", folder / STORED
    for sha256 in run.settings.data.files if run.settings.data else ():
        yield f"data/{sha256}/{ROWS}", data_folder() / sha256 / ROWS


def newest_step(folder: Path) -> int:
    """Return the step of the newest checkpoint that the page has of a run, or knows to be stored; 0 where
    there is none."""
    kept, stored = checkpoints.newest(folder / CHECKPOINTS)[0], stored_checkpoint(folder)
    return max(checkpoints.step(kept) if kept else 0, stored["step"] if stored else 0)


def stored_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Return {"step", "address"} of the run's checkpoint that is stored elsewhere, if there is one."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads((folder / STORED).read_text(encoding="utf-8"))
        return {"step": int(found["step"]), "address": str(found["address"])}
    return None


def store_checkpoint(packed: Path, step: int, storage: str, folder: Path) -> str:
    """Put a packed checkpoint into the storage in the place of the one before, and write down where it is.

    Returns its address.

    Raises:
        Exception: whatever the storage's own package raises.
    """
    import fsspec

    before = stored_checkpoint(folder)
    address = f"{storage.rstrip('/')}/checkpoint-{step}{PACKED}"
    files, path = fsspec.core.url_to_fs(address)
    files.makedirs(path.rpartition("/")[0], exist_ok=True)
    files.put_file(str(packed), path)
    with replacing(folder / STORED) as new:
        new.write_text(json.dumps({"step": step, "address": address}), encoding="utf-8")
    if before is not None:
        remove_stored(before["address"])
    return address


def remove_stored(address: str) -> None:
    """Remove a checkpoint from the storage, if it can be reached: one too many does no harm."""
    import fsspec

    with suppress(Exception):
        files, path = fsspec.core.url_to_fs(address)
        files.rm_file(path)


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


def pack(source: Path, packed: Path, of: Sequence[str] = (".",)) -> None:
    """Write a folder as a zip, or what lies in these of its folders."""
    packed.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(path for one in of for path in (source / one).rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(source))


def unpack(packed: Path) -> None:
    """Put the folder that was packed in the place of the zip; it is whole as soon as it is there."""
    with replacing_folder(packed.with_suffix("")) as folder, zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)  # no member leads out of it: zipfile sees to that
    packed.unlink()


def inside(folder: Path, name: str) -> Path:
    """Return the place of a file by its name in the folder.

    Raises:
        ValueError: it leads out of it.
    """
    place = (folder / name).resolve()
    if not place.is_relative_to(folder.resolve()):
        raise ValueError(f"{name[:80]!r} leads out of the run's folder")
    return place


def own_folder(name: str) -> Path:
    """Make a folder for this process alone, and remove those of processes that were killed, with what is in
    them."""
    home = Path(tempfile.gettempdir(), f"cdvft-cluster-{os.getuid() if hasattr(os, 'getuid') else ''}")
    home.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and home.lstat().st_uid != os.getuid():
        raise PermissionError(f"{home} is somebody else's on this node; remove it.")
    for left in home.iterdir():
        with suppress(OSError):
            if left.name == name or processes.alive((left / HOLDER).read_text()) is False:
                shutil.rmtree(left, ignore_errors=True)
    (home / name).mkdir(mode=0o700)
    (home / name / HOLDER).write_text(processes.this_process())
    return home / name


def cause(error: Exception) -> str:
    """Return the last line of what Ray says of an error, which names its cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
