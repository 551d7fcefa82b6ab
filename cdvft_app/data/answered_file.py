"""Read the rows of a file that are to be predicted: they need no labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdvft_app.catalog.uploaded import ROWS
from cdvft_app.data.imported_table import READERS, ImportedTable, read_into, require_size
from cdvft_app.data.source import DataRefused, Limits
from cdvft_app.data.zip_file import PICTURES, packed, packed_files
from cdvft_app.files import sha256_of
from cdvft_app.progress import Progress, silent
from cdvft_app.public import intake

if TYPE_CHECKING:
    import pyarrow as pa


def read_unlabelled(path: Path, folder: Path, limits: Limits, progress: Progress = silent) -> ImportedTable:
    """Read the rows that are to be answered into an empty folder; a folder of pictures, and one picture, too.

    Raises:
        DataRefused: why it cannot be read, and what to do.
    """
    try:
        if path.is_dir() or path.name.lower().endswith(PICTURES):
            with packed(path, limits) if path.is_dir() else packed_files([path], limits) as whole:
                return read_unlabelled(whole, folder, limits, progress)
        require_size(path, limits)
        return read_into(folder, path, sha256_of(path), limits, progress, labelled=False)
    except OSError as error:
        raise DataRefused(f"“{path.name}” cannot be read: {error.strerror or error}.") from None


def read_unlabelled_in_child(
    path: Path, folder: Path, limits: Limits, progress: Progress = silent
) -> ImportedTable:
    """Call `read_unlabelled` in a child with limits, for untrusted files.

    Raises:
        DataRefused, intake.TooMuch: why it cannot be read, and what to do.
    """
    found = intake.read_in_child(
        _read, str(path), str(folder), asdict(limits), limits=intake.child_limits(), imports=READERS,
        refusals=(DataRefused,), progress=progress,
    )  # fmt: skip
    return ImportedTable(**{**found, "columns": tuple(found["columns"])})


def _read(path: str, folder: str, limits: dict[str, Any], progress: Progress) -> dict[str, Any]:
    return asdict(read_unlabelled(Path(path), Path(folder), Limits(**limits), progress))


def rows_of(folder: Path, start: int = 0) -> Iterator[pa.RecordBatch]:
    """Yield the rows that were read into the folder from the place `start` on, a batch at a time."""
    import pyarrow as pa

    with pa.OSFile(str(folder / ROWS)) as file, pa.ipc.open_stream(file) as reader:
        for batch in reader:
            skipped, start = min(start, len(batch)), max(start - len(batch), 0)
            if skipped < len(batch):
                yield batch.slice(skipped)
