"""The history as one ZIP file: ended runs, a folder each, exported and imported.

Nothing in the file is trusted. `unpack` runs in a child process with limits: it skips files that a run does
not have, and checks what the writers of a run's files guarantee.
"""

from __future__ import annotations

import json
import math
import re
import secrets
import shutil
import zipfile
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from cdvft_app.archives import DAMAGE, require_safe
from cdvft_app.errors import UserError
from cdvft_app.events import ADAPTER
from cdvft_app.files import is_full, remove_left, replacing
from cdvft_app.progress import Progress, silent
from cdvft_app.store import predictions, recorded, snapshots, states
from cdvft_app.store.database import store_errors
from cdvft_app.store.folders import FACTS, read_facts, write_facts
from cdvft_app.store.records import ID, StoreError
from cdvft_app.store.runs import RunStore

OF_THE_OWNER = ("token_hash", "visitor")
"""Columns that leave with no file."""
MAX_FILE_BYTES, MAX_MEMBERS = 20 * 10**9, 10**6
MAX_FACTS = 64 * 10**6  # bytes of a run.json
MAX_JSON = 32 * 10**6  # bytes of an adapter's JSON, and of predictions
MAX_HEADER = 2 * 10**6  # bytes of the JSON that a safetensors file begins with
CHUNK = 1 << 20
UNPACKED = ".unpacked-"  # before the names of folders into which runs are unpacked
_FILE = re.compile(
    r"(?P<run>[\w-]+)/(?P<path>run\.json|predictions\.safetensors|written_answers\.jsonl"
    r"|snapshots/step-\d{6,9}\.safetensors|adapter/[\w-][\w.-]*\.(?:safetensors|json|txt|md|jinja))",
    re.ASCII,
)
# PEFT takes one text for a regular expression, which may never end.
_PATTERNS = ("target_modules", "exclude_modules", "layers_pattern", "rank_pattern", "alpha_pattern")
_PLAIN_NAME = re.compile(r"[\w.-]{1,200}")
EXISTS = "{} exists. Choose another place, or remove it first."
NOT_A_HISTORY = "{} is not a history file. Create one with `cdvft history export`."
TOO_LARGE = "{} is too large: {size:,.0f} MB (limit {limit:,.0f} MB)."
DAMAGED_FILE = "The file is damaged ({})."


class RejectedRun(UserError):
    """A run of the file cannot be imported; the text names it and says why."""


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


Unpack = Callable[[str, str, list[str]], dict[str, Any]]


def import_history(store: RunStore, file: Path, unpacked: Unpack | None = None) -> ImportResult:
    """Import the runs of a file that `export_history` wrote, for the owner of this machine.

    They keep their groups and visibility, and belong to the terminal.

    Args:
        store: The runs' new place.
        file: The ZIP file.
        unpacked: Calls `unpack` in a child process with limits; None: in this process.

    Raises:
        StoreError: Nothing was imported.
    """
    with store_errors(store.root):
        here = sorted({*recorded.ids(), *(path.name for path in store.folders.path.iterdir())})
        remove_left(store.root, UNPACKED)
        place = store.root / f"{UNPACKED}{secrets.token_hex(8)}"
        place.mkdir(mode=0o700)
        try:
            found = (unpacked or unpack)(str(file), str(place), here)
            folders = [store.folders.path / run_id for run_id in found["runs"]]
            for folder in folders:
                (place / folder.name).rename(folder)
            rebuilt = store.folders.take_in(folders)
            for name in rebuilt.lost:
                shutil.rmtree(store.folders.path / name, ignore_errors=True)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    rejected = [*found["rejected"], *(f"{name}: {why}" for name, why in rebuilt.lost.items())]
    return ImportResult(rebuilt.ids, found["known"], rejected)


def unpack(file: str, place: str, here: list[str], progress: Progress = silent) -> dict[str, Any]:
    """Write the runs of a history file that are not `here` into the folder `place`.

    Returns:
        The ids of `runs`, how many are `known`, and why others were `rejected`.

    Raises:
        StoreError: It is not a history file, or too large.
    """
    with _opened(Path(file)) as archive:
        members = _members(archive)
        runs, rejected = list[str](), list[str]()
        new = {run_id: of_run for run_id, of_run in members.items() if run_id not in here}
        for count, (run_id, of_run) in enumerate(new.items()):
            progress(count / len(new), f"Reading run {count + 1:,} of {len(new):,}")
            try:
                _write_run(archive, of_run, Path(place, run_id))
                runs.append(run_id)
            except RejectedRun as error:
                rejected.append(f"{run_id}: {error}")
                shutil.rmtree(Path(place, run_id), ignore_errors=True)
    return {"runs": runs, "known": len(members) - len(new), "rejected": rejected}


def _opened(file: Path) -> zipfile.ZipFile:
    try:
        if (size := file.stat().st_size) > MAX_FILE_BYTES:
            raise StoreError(TOO_LARGE.format(file.name, size=size / 1e6, limit=MAX_FILE_BYTES / 1e6))
        return zipfile.ZipFile(file)
    except DAMAGE as error:
        raise StoreError(NOT_A_HISTORY.format(file.name)) from error


def _members(archive: zipfile.ZipFile) -> dict[str, dict[str, zipfile.ZipInfo]]:
    """Return the members of the archive that are imported: by the id of their run, by their path."""
    require_safe(archive, members=MAX_MEMBERS, unpacked_bytes=MAX_FILE_BYTES, refused=StoreError)
    found: dict[str, dict[str, zipfile.ZipInfo]] = {}
    for info in archive.infolist():
        name = _FILE.fullmatch(info.filename)
        if name and ID.fullmatch(name["run"]):
            found.setdefault(name["run"], {})[name["path"]] = info
    if not found:
        raise StoreError(NOT_A_HISTORY.format(Path(archive.filename or "").name))
    return found


def _write_run(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], folder: Path) -> None:
    """Write the folder of one run; raise `RejectedRun` if it cannot be imported."""
    folder.mkdir()
    for name, member in members.items():
        (folder / name).parent.mkdir(exist_ok=True)
        with (folder / name).open("wb") as written:
            for chunk in _chunks(archive, member, _most_bytes(name)):
                written.write(chunk)
        if name.endswith(".safetensors") and name != predictions.FILE:
            _check_tensors(folder / name)
    try:
        facts, events = read_facts(folder)
    except (OSError, ValueError) as error:
        raise RejectedRun(str(error)) from error
    facts |= {name: json.loads(facts[name] or "null") for name in ("settings", "result")}
    facts |= {**dict.fromkeys(OF_THE_OWNER), "forecast": None}  # estimates are learned from
    write_facts(folder, facts, events)
    _check_adapter(folder / ADAPTER)
    for name, is_whole in ((predictions.FILE, _has_predictions), (predictions.ANSWERS_FILE, _has_answers)):
        if (folder / name).is_file() and not is_whole(folder):
            (folder / name).unlink()


def _most_bytes(name: str) -> int:
    if name == FACTS:
        return MAX_FACTS
    if name.startswith("snapshots/"):
        return snapshots.BYTES_LIMIT + MAX_HEADER
    is_weights = name.startswith(f"{ADAPTER}/") and name.endswith(".safetensors")
    return MAX_FILE_BYTES if is_weights else MAX_JSON


def _chunks(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> Iterator[bytes]:
    """Yield a member's bytes, counted while they are read, whatever the archive says of them."""
    size = 0
    try:
        with archive.open(member) as file:
            while chunk := file.read(CHUNK):
                size += len(chunk)
                if size > most:
                    raise RejectedRun(f"{member.filename} has more than {most / 1e6:,.0f} MB")
                yield chunk
    except DAMAGE as error:
        raise StoreError(DAMAGED_FILE.format(str(error)[:100])) from error


def _check_tensors(file: Path) -> None:
    """Raise `RejectedRun` for a safetensors file that cannot be read, or a snapshot that is too large."""
    with file.open("rb") as opened:
        header = int.from_bytes(opened.read(8), "little")
    if header > MAX_HEADER:
        raise RejectedRun(f"the header of {file.name} has {header:,} bytes")
    try:
        with safe_open(file, framework="numpy"):
            pass
    except SafetensorError as error:
        raise RejectedRun(f"{file.name} cannot be read ({error})") from error


def _check_adapter(folder: Path) -> None:
    """Raise `RejectedRun` for an adapter whose description does not fit its weights, or names by patterns."""
    if not folder.is_dir():
        return
    config = _object(folder / "adapter_config.json")
    for name in _PATTERNS:
        names = config.get(name) or []
        if not (isinstance(names, list | dict) and all(map(_is_plain, names))):
            raise RejectedRun(f"{name} in adapter_config.json is not a list of names")
    task = _object(folder / "task.json")
    labels, head = task.get("labels") or [], task.get("head")
    if not isinstance(labels, list):
        raise RejectedRun("the labels in task.json are not a list")
    rows = {shape[0] for name, shape in _shapes(folder) if f".{head}." in f".{name}" and shape}
    if labels and rows != {len(labels)}:
        raise RejectedRun(f"task.json has {len(labels):,} labels, and the head {sorted(rows)} rows")


def _object(file: Path) -> dict[str, Any]:
    """Return a JSON object; an empty one if there is no file."""
    try:
        found = json.loads(file.read_bytes()) if file.is_file() else {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RejectedRun(f"{file.name} is not a JSON object")
    return found


def _shapes(folder: Path) -> Iterator[tuple[str, list[int]]]:
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="numpy") as tensors:
            for name in tensors.keys():  # noqa: SIM118 (safetensors' file is no mapping)
                yield name, tensors.get_slice(name).get_shape()


def _is_plain(name: object) -> bool:
    return isinstance(name, str) and _PLAIN_NAME.fullmatch(name) is not None


def _has_predictions(folder: Path) -> bool:
    with suppress(KeyError, TypeError, ValueError):
        found = predictions.read(folder)
        if found is not None:
            kinds = [(one.ndim, one.dtype.kind) for one in (found.rows, found.labels, found.outputs)]
            values = 0 < found.outputs.size <= predictions.MAX_NUMBERS
            return values and kinds in ([(1, "i"), (1, "i"), (2, "f")], [(1, "i"), (1, "f"), (2, "f")])
    return False


def _has_answers(folder: Path) -> bool:
    with suppress(OverflowError):
        found = predictions.read_answers(folder)
        return found is not None and 0 < len(found.rows) <= predictions.MAX_ROWS
    return False
