"""The folder of an entry's files, wherever they come from."""

from __future__ import annotations

from pathlib import Path

from cdvft_app.catalog import hub, mirror
from cdvft_app.catalog.download import DownloadFailed, Progress, ShouldStop
from cdvft_app.catalog.entries import DatasetEntry, ModelEntry


def files_of(entry: ModelEntry | DatasetEntry, progress: Progress, should_stop: ShouldStop) -> hub.Snapshot:
    """The entry's files, fetched first where they are not here yet.

    Raises:
        DownloadFailed: what could not be had, why, and what to do.
        DownloadStopped: `should_stop()` became true.
    """
    if entry.source == "mirror":
        return hub.Snapshot(mirror.ensure(entry.location, progress, should_stop), None)
    if entry.source == "local":
        folder = Path(entry.location)
        if not folder.is_dir():
            raise DownloadFailed(f"{entry.title} should be in the folder {folder}, which is not there.")
        return hub.Snapshot(folder, None)
    patterns = None
    if isinstance(entry, DatasetEntry) and entry.files:
        splits = {entry.train_split, entry.evaluation_split or entry.train_split}
        patterns = [entry.files.format(split=split) for split in sorted(splits)]
    return hub.snapshot(
        entry.location,
        "model" if isinstance(entry, ModelEntry) else "dataset",
        entry.revision,
        patterns=patterns,
        title=entry.title,
        progress=progress,
        should_stop=should_stop,
    )
