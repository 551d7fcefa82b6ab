"""One's own data: given, looked at, chosen for a run, and deleted; each visitor's by itself."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from cdvft_app.catalog.cleaning import InvalidStep, parse_steps
from cdvft_app.catalog.columns import Roles
from cdvft_app.data.imported_table import ATTEMPTS, ImportedTable, find, forget, import_file
from cdvft_app.data.inspect import Inspection, inspect, roles_of
from cdvft_app.data.read_file import without_gz
from cdvft_app.data.source import LIMITS, DataRefused, Limits
from cdvft_app.data.source import limits as limits_now
from cdvft_app.files import folder_bytes
from cdvft_app.progress import Progress, silent
from cdvft_app.public import uploads
from cdvft_app.settings import HELD_OUT, MAX_HELD_OUT, MIN_HELD_OUT, UploadedDataset
from cdvft_app.settings.environment import data_folder
from cdvft_app.store.datasets import DataRecord
from cdvft_app.store.owners import EVERYTHING
from cdvft_app.store.records import RunRecord, StoreError, visible_name
from cdvft_app.store.runs import RunStore

LOOKED = 4  # inspections that are kept, of up to 50 MB each


def give(
    store: RunStore,
    path: Path,
    token: str | None,
    name: str = "",
    *,
    limits: Limits = LIMITS,
    progress: Progress = silent,
    read: Callable[[Path, Limits, Progress], ImportedTable] = import_file,
) -> DataRecord:
    """Read, check and keep a file for its owner; `read` is `import_in_child` for all that comes by the page.

    Raises:
        DataRefused: why it cannot be taken, and what to do.
        StoreError: the disk refuses it, or it asks for too much.
    """
    expire(store, limits)
    size = path.stat().st_size if path.is_file() else 0
    if full := uploads.refusal(None, size):
        raise DataRefused(full)
    _require_room(store, token, size, limits)
    for _ in range(ATTEMPTS):
        kept = read(path, limits, progress)
        with _changing_owners(store):
            if find(kept.sha256) is None:
                continue
            try:
                if not store.datasets.has(token, kept.sha256):
                    _require_room(store, token, _taken(kept), limits)
            except DataRefused:
                if not store.datasets.is_owned(kept.sha256):
                    forget(kept.sha256)
                raise
            return _add(store, token, name or title_of(path), kept)
    raise DataRefused(f"“{path.name}” was deleted by somebody else while it was read. Give it once more.")


def title_of(path: Path) -> str:
    """Return what a file or folder is called by: tickets for tickets.csv.gz; “.” by its folder's name."""
    return visible_name(without_gz(Path(os.path.abspath(path))).stem) or "data"


SHORT_SHA256 = 12  # digits by which data of before is named in a command


def given_before(store: RunStore, name: str) -> DataRecord | None:
    """Return the kept data whose SHA-256 begins with `name`, or None; the terminal then owns it, too.

    Whoever has a terminal here may read it anyway.
    """
    if len(name) < SHORT_SHA256 or not re.fullmatch("[0-9a-f]{1,64}", name):
        return None
    with _changing_owners(store):
        for folder in sorted(data_folder().glob(f"{name}*")):
            if (kept := find(folder.name)) is not None:
                return _add(store, None, store.datasets.name_of(kept.sha256) or "data", kept)
    return None


def _taken(kept: ImportedTable) -> int:
    """Return the bytes that a table counts for: those of the file that was given, or of its rows here."""
    return max(kept.bytes, folder_bytes(kept.folder))


def _add(store: RunStore, token: str | None, name: str, kept: ImportedTable) -> DataRecord:
    """Make the token's owner an owner of a table that is kept here, by that name."""
    return store.datasets.add(
        token,
        name,
        sha256=kept.sha256,
        format=kept.format,
        kind=kept.kind,
        bytes=_taken(kept),
        rows=kept.rows,
    )


def _changing_owners(store: RunStore) -> FileLock:
    """Return a lock: rows without an owner get none, in any process, until they are removed."""
    return FileLock(store.root / "data.lock")


def _require_room(store: RunStore, token: str | None, size: int, limits: Limits) -> None:
    """Raise `DataRefused` where so many bytes more are too many for their owner."""
    taken = store.datasets.total_bytes(token)
    if limits.total_bytes is not None and taken + size > limits.total_bytes:
        raise DataRefused(
            f"You have {taken / 1e6:.1f} MB here and may have {limits.total_bytes / 1e6:.0f} MB; this file "
            f"takes {size / 1e6:.1f} MB. Delete some of your data first."
        )


def owned(store: RunStore, token: str | None) -> list[DataRecord]:
    """Return the owner's data that has not expired, the latest first."""
    expire(store, limits_now())
    return store.datasets.of(token)


def expire(store: RunStore, limits: Limits) -> None:
    """Forget what nobody has used for too long; what a run waits for or learns from is in use."""
    if limits.keep_hours is None:
        return
    with _changing_owners(store):
        for unused in store.datasets.expire(limits.keep_hours):
            forget(unused)


def look(
    store: RunStore,
    data_id: object,
    token: str | None,
    *,
    inputs: Sequence[str] = (),
    label: str | None = None,
    is_generative: bool | None = None,
    evaluation: object = None,
    held_out: float = HELD_OUT,
    split_seed: int = 0,
    clean: Sequence[str] = (),
) -> Inspection:
    """Inspect an uploaded dataset: return what a run would learn from it; see `roles_of` and `inspect`.

    Raises:
        UnknownData: the asker has none with this id.
        DataRefused: a column that was named is not there, or the rows are gone.
    """
    record = store.datasets.get(data_id, token)
    other = store.datasets.get(evaluation, token) if evaluation else None
    if other and other.kind != record.kind:
        raise DataRefused("The rows to evaluate on must be of the same kind as those to train on.")
    records = [one for one in (record, other) if one]
    kept, *_ = [_found(one.sha256, one.name) for one in records]  # also what `_looked` remembers may be gone
    roles = roles_of(kept, inputs, label, is_generative)
    files = tuple((one.name, one.sha256) for one in records)
    return _looked(files, roles, held_out, split_seed, tuple(clean))


@lru_cache(maxsize=LOOKED)
def _looked(
    files: tuple[tuple[str, str], ...],
    roles: Roles,
    held_out: float,
    split_seed: int,
    clean: tuple[str, ...],
) -> Inspection:
    """Inspect files as `look`, by name and SHA-256, and cache it: a large one takes half a minute."""
    (name, kept), *others = [(name, _found(sha256, name)) for name, sha256 in files]
    other_name, other = others[0] if others else ("", None)
    return inspect(
        kept,
        name,
        roles,
        evaluation=other,
        evaluation_title=other_name,
        held_out=held_out,
        split_seed=split_seed,
        clean=clean,
    )


def read_steps(given: Iterable[str]) -> tuple[str, ...]:
    """Return `clean` for `look`, from texts such as "merge-case,drop:n/a".

    Raises:
        DataRefused: one of the steps is none; says which there are.
    """
    try:
        return parse_steps(given)
    except InvalidStep as error:
        raise DataRefused(str(error)) from None


def read_roles(
    text: Sequence[str], label: str | None, prompt: Sequence[str], answer: str | None
) -> dict[str, Any]:
    """Return `inputs`, `label` and `is_generative` for `look`; a prompt or an answer makes it generative.

    Raises:
        DataRefused: both were given, or more columns than are read.
    """
    labelled, written = bool(text or label), bool(prompt or answer)
    if labelled and written:
        raise DataRefused("Give text and label, or prompt and answer; not some of each.")
    is_generative = True if written else False if labelled else None
    if len(inputs := [*text, *prompt]) > 2:
        raise DataRefused(f"At most two columns are read together; {len(inputs)} are given.")
    return {"inputs": inputs, "label": label or answer or None, "is_generative": is_generative}


def read_split(share: object, seed: object) -> dict[str, Any]:
    """Return `held_out` and `split_seed` for `look` as typed, the share in per cent; empty means the default.

    Raises:
        DataRefused: which ranges there are.
    """
    try:
        percent = float(str(share)) if str(share or "").strip() else 100 * HELD_OUT
        number = int(str(seed)) if str(seed or "").strip() else 0
        if 100 * MIN_HELD_OUT <= percent <= 100 * MAX_HELD_OUT and 0 <= number < 2**31:
            return {"held_out": percent / 100, "split_seed": number}
    except ValueError:
        pass
    raise DataRefused(
        f"The held-out share must be from {100 * MIN_HELD_OUT:g} to {100 * MAX_HELD_OUT:g} %, and the "
        "seed of the split a whole number of 0 or more."
    )


def chosen(looked: Inspection) -> UploadedDataset:
    """Return the dataset that a run learns from; raise `DataRefused` where nothing can be learned."""
    if looked.data is None:
        raise DataRefused(looked.problem or "Nothing can be learned from it.")
    return looked.data


def last_learned(store: RunStore, data_id: object, token: str | None) -> UploadedDataset:
    """Return the dataset as the owner's latest run on it read it; without such a run, as it is guessed.

    Raises:
        UnknownData, DataRefused: as `look` and `chosen`.
    """
    record = store.datasets.get(data_id, token)
    for run in _runs_on(store, record, token):
        if run.settings.data and run.settings.data.sha256 == record.sha256:
            return run.settings.data
    return chosen(look(store, data_id, token))


def is_own(store: RunStore, data: UploadedDataset | None, token: str | None) -> bool:
    """Return whether the visitor with this token uploaded all its files; True without uploaded data."""
    return data is None or all(store.datasets.has(token, sha256) for sha256 in data.files)


def require_own(store: RunStore, data: UploadedDataset | None, token: str | None) -> None:
    """Refuse data that the asker did not give, whether or not somebody else did; it counts as used.

    Raises:
        StoreError: saying so.
    """
    for sha256 in data.files if data else ():
        store.datasets.use(sha256, token)
    if data and not is_own(store, data, token):
        raise StoreError(f"“{data.title}” is not among your data here; give it again.")


def remove(store: RunStore, data_id: object, token: str | None) -> None:
    """Delete one's own data; the rows go when nobody else gave the same file."""
    with _changing_owners(store):
        if unused := store.datasets.delete(data_id, token):
            forget(unused)


def forget_unowned(store: RunStore, read: Iterable[ImportedTable]) -> None:
    """Remove the rows of files that were looked at only, and that nobody gave."""
    with _changing_owners(store):
        for one in read:
            if not store.datasets.is_owned(one.sha256):
                forget(one.sha256)


def losses(store: RunStore, data_id: object, token: str | None) -> list[str]:
    """Return the names of one's runs that cannot be resumed, nor show examples, once the data is deleted."""
    runs = _runs_on(store, store.datasets.get(data_id, token), token)
    return [f"{run.name}, {run.settings.method.label()}" for run in runs]


def _runs_on(store: RunStore, record: DataRecord, token: str | None) -> Iterator[RunRecord]:
    """Yield the owner's runs that learned from the data, the latest first."""
    every = store.seen_by(lambda: EVERYTHING)  # they are the owner's, who need not be who looks now
    return filter(None, map(every.get, store.datasets.runs_on(record.sha256, token)))


def rename(store: RunStore, data_id: object, name: str, token: str | None) -> DataRecord:
    store.datasets.rename(data_id, name, token)
    return store.datasets.get(data_id, token)


def _found(sha256: str, name: str) -> ImportedTable:
    kept = find(sha256)
    if kept is None:
        raise DataRefused(f"The rows of “{name}” are gone from this disk; give the file again.")
    return kept
