"""A file's rows as an Arrow table, in a folder named by the file's SHA-256, with what was found in it."""

from __future__ import annotations

import base64
import io
import json
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cdvft_app.catalog import columns
from cdvft_app.catalog.columns import Column
from cdvft_app.catalog.uploaded import IMAGE, ROW, ROWS, kept_table
from cdvft_app.data.pictures import FORMATS, as_png
from cdvft_app.data.read_file import read_file, without_conversations
from cdvft_app.data.row_errors import RowErrors
from cdvft_app.data.source import LIMITS, DataRefused, Limits
from cdvft_app.data.zip_file import packed
from cdvft_app.files import remove_left, sha256_of
from cdvft_app.progress import Progress, silent
from cdvft_app.public import intake
from cdvft_app.public.uploads import READING
from cdvft_app.settings.environment import data_folder

if TYPE_CHECKING:
    import pyarrow as pa

FACTS = "facts.json"
# What readers of files import, whose own memory does not count.
READERS = (
    "charset_normalizer", "orjson", "pandas", "python_calamine", "PIL.Image", "pyarrow.compute",
    "pyarrow.pandas_compat", "pyarrow.parquet",
)  # fmt: skip
ATTEMPTS = 3  # to read a file, where somebody else deletes the same one meanwhile


@dataclass(frozen=True)
class ImportedTable:
    """What is kept of a file. `faults` are as `RowErrors.kept` gives them; `conversations`: its prompts and
    answers were taken from some."""

    sha256: str
    format: str
    kind: Literal["text", "image"]
    columns: tuple[str, ...]
    rows: int
    bytes: int
    encoding: str | None = None
    separator: str | None = None
    notes: list[str] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    conversations: bool = False

    @property
    def folder(self) -> Path:
        return data_folder() / self.sha256

    @property
    def row_errors(self) -> RowErrors:
        return RowErrors.of(self.faults)


def import_file(path: Path, limits: Limits = LIMITS, progress: Progress = silent) -> ImportedTable:
    """Read, check and keep a file; one with the same bytes that is kept already is not read again.

    A folder is kept as a zip of its pictures.

    Raises:
        DataRefused: why it cannot be taken, and what to do.
    """
    try:
        if path.is_dir():
            with packed(path, limits) as whole:
                return import_file(whole, limits, progress)
        if not path.is_file():
            raise DataRefused(f"“{path.name}” is no file. Give a CSV, TSV, JSONL or Parquet file, or a zip.")
        require_size(path, limits)
        sha256 = sha256_of(path)
        kept = find(sha256)
        return kept or _read(path, sha256, limits, progress)
    except OSError as error:
        raise DataRefused(f"“{path.name}” cannot be read or kept: {error.strerror or error}.") from None


def require_size(path: Path, limits: Limits) -> None:
    """Raise `DataRefused` where the file has more bytes than are taken."""
    size = path.stat().st_size
    if size > limits.file_bytes:
        raise DataRefused(
            f"“{path.name}” has {size / 1e6:,.0f} MB; at most {limits.file_bytes / 1e6:,.0f} MB are taken."
        )


def import_in_child(path: Path, limits: Limits = LIMITS, progress: Progress = silent) -> ImportedTable:
    """Call `import_file` in a child with limits, for untrusted files.

    Raises:
        DataRefused, intake.TooMuch: why it cannot be taken, and what to do.
    """
    try:
        sha256 = sha256_of(path)
    except OSError as error:
        raise DataRefused(f"“{path.name}” cannot be read: {error.strerror or error}.") from None
    for _ in range(ATTEMPTS):
        if kept := find(sha256):
            return kept
        intake.read_in_child(
            _import,
            str(path),
            asdict(limits),
            limits=intake.child_limits(),
            imports=READERS,
            refusals=(DataRefused,),
            progress=progress,
        )
    raise DataRefused(f"“{path.name}” was deleted by somebody else while it was read. Give it once more.")


def _import(path: str, limits: dict[str, Any], progress: Progress) -> None:
    import_file(Path(path), Limits(**limits), progress)


def find(sha256: str) -> ImportedTable | None:
    """Return the table that is kept of a file with this SHA-256; None where it is missing or damaged."""
    folder = data_folder() / sha256
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        kept = ImportedTable(**{**facts, "columns": tuple(facts["columns"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return kept if (folder / ROWS).is_file() else None


def forget(sha256: str) -> None:
    """Remove the table that is kept of a file."""
    shutil.rmtree(data_folder() / sha256, ignore_errors=True)


def _read(path: Path, sha256: str, limits: Limits, progress: Progress) -> ImportedTable:
    root = data_folder()
    root.mkdir(parents=True, exist_ok=True)
    remove_left(root, READING)
    with tempfile.TemporaryDirectory(prefix=READING, dir=root) as work:
        ready = Path(work) / "ready"
        ready.mkdir()
        kept = read_into(ready, path, sha256, limits, progress)
        place = root / sha256
        if place.exists() and find(sha256) is None:  # of a killed program, or damaged
            place.rename(Path(work) / f"old-{secrets.token_hex(4)}")
        if not place.exists():
            try:
                ready.rename(place)
            except OSError:
                if find(sha256) is None:  # else another process that read the same file was first
                    raise
        return kept


def read_into(
    folder: Path,
    path: Path,
    sha256: str,
    limits: Limits,
    progress: Progress,
    *,
    labelled: bool = True,
) -> ImportedTable:
    """Write the rows of a file into a folder, and what was found in them.

    Unless they are to be learned from (`labelled`), pictures need no labels, and conversations no answers.

    Raises:
        DataRefused: why it cannot be taken, and what to do.
    """
    import pyarrow as pa

    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=folder.parent) as work:
        source = read_file(path, Path(work), limits, progress, labelled)
        source, conversations = without_conversations(source, labelled)
        schema, rows = source.schema(), 0
        with pa.OSFile(str(folder / ROWS), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
            for batch in source.read():
                rows += len(batch)
                writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
    if not rows:
        if not source.faults.count:
            names = ", ".join(f"“{name}”" for name in source.columns[:10])
            raise DataRefused(f"“{path.name}” has the columns {names} and no rows. Give a file with rows.")
        raise DataRefused(" ".join(["Not one row of it can be used.", *source.faults.sentences()[:3]]))
    kept = ImportedTable(
        sha256, source.format, source.kind, source.columns, rows, path.stat().st_size, source.encoding,
        source.separator, source.notes, source.faults.kept(), conversations,
    )  # fmt: skip
    (folder / FACTS).write_text(json.dumps(asdict(kept)), encoding="utf-8")
    return kept


@lru_cache(maxsize=32)
def _columns_of(sha256: str, names: tuple[str, ...], pictures: str | None) -> tuple[Column, ...]:
    return columns.columns_of(kept_table(sha256), names, pictures)


def columns_of(imported: ImportedTable) -> tuple[Column, ...]:
    """Return each column with its type and its numbers of missing and different values."""
    return _columns_of(imported.sha256, imported.columns, IMAGE if imported.kind == "image" else None)


def preview(imported: ImportedTable, places: Sequence[int]) -> list[dict[str, Any]]:
    """Return the rows at these places, which ascend, without pictures."""
    pictures = [IMAGE] if imported.kind == "image" else []
    rows = _rows_at(kept_table(imported.sha256).drop_columns(pictures), places).to_pylist()
    return [{("row" if name == ROW else name): value for name, value in row.items()} for row in rows]


def some_of_each(imported: ImportedTable, column: str, count: int) -> list[int]:
    """Return places of `count` rows, ascending: the first ones of each value of the column, by turns."""
    places: dict[Any, list[int]] = {}
    for place, value in enumerate(kept_table(imported.sha256).column(column).to_pylist()):
        if len(of_value := places.setdefault(value, [])) < count:
            of_value.append(place)
    by_turns = (place for turn in zip_longest(*places.values()) for place in turn if place is not None)
    return sorted(islice(by_turns, count))


def _rows_at(rows: pa.Table, places: Sequence[int]) -> pa.Table:
    chosen = np.zeros(rows.num_rows, bool)
    chosen[[place for place in places if place < rows.num_rows]] = True
    return rows.filter(chosen)  # `take` would join all batches in memory first


def thumbnails(imported: ImportedTable, places: Sequence[int], side: int) -> list[str]:
    """Return the pictures at these places, which ascend, as PNGs of at most `side` pixels, in base64.

    They are decoded in a child with limits.

    Raises:
        intake.TooMuch: they take more than one may take here.
    """
    found: list[str] = intake.read_in_child(
        _thumbnails, imported.sha256, [*places], side, limits=intake.child_limits(), imports=READERS
    )
    return found


def _thumbnails(sha256: str, places: Sequence[int], side: int, _progress: Progress) -> list[str]:
    from PIL import Image

    found = []
    for picture in _rows_at(kept_table(sha256), places).column(IMAGE).to_pylist():
        with Image.open(io.BytesIO(picture["bytes"]), formats=FORMATS) as opened:
            small = opened.convert("RGB")
        small.thumbnail((side, side))
        found.append(base64.b64encode(as_png(small)).decode())
    return found
