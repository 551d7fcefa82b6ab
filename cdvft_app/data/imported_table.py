"""Keep a file's rows as Arrow, in a folder named by the SHA-256 of the file, with what was found in it."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from cdvft_app.catalog.uploaded_entry import ROWS
from cdvft_app.data.csv_file import read_delimited
from cdvft_app.data.foreign import refuse_foreign
from cdvft_app.data.json_file import read_json_array, read_json_lines
from cdvft_app.data.lines import first_letters
from cdvft_app.data.parquet import read_parquet
from cdvft_app.data.pictures import ENDINGS, packed, read_pictures
from cdvft_app.data.source import LIMITS, DataRefused, Limits, Progress, RowErrors, Source
from cdvft_app.public import intake
from cdvft_app.settings.environment import data_folder

FACTS = "facts.json"
CHUNK = 1 << 20
READERS = ("duckdb", "pandas", "PIL.Image", "pyarrow.compute", "pyarrow.pandas_compat", "pyarrow.parquet")
ATTEMPTS = 3  # to read a file, where somebody else deletes the same one meanwhile
_LIST_OF_OBJECTS = re.compile(r"\[\s*\{")


@dataclass(frozen=True)
class ImportedTable:
    """What is kept of a file. `faults` are as `RowErrors.kept` gives them."""

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

    @property
    def folder(self) -> Path:
        return data_folder() / self.sha256


def import_file(
    path: Path, limits: Limits = LIMITS, progress: Progress = lambda fraction, text: None
) -> ImportedTable:
    """Read, check and keep a file; one with the same bytes that is kept already is not read again.

    A folder is kept as a zip of its pictures.

    Raises:
        DataRefused: why it cannot be taken, and what to do.
    """
    try:
        if path.is_dir():
            with packed(path, limits) as whole:
                return import_file(whole, limits, progress)
        size = path.stat().st_size
        if not path.is_file():
            raise DataRefused(f"“{path.name}” is no file. Give a CSV, TSV, JSONL or Parquet file, or a zip.")
        if size > limits.file_bytes:
            raise DataRefused(
                f"“{path.name}” has {size / 1e6:,.0f} MB; at most {limits.file_bytes / 1e6:,.0f} MB are "
                "taken."
            )
        sha256 = _sha256(path)
        kept = find(sha256)
        return kept or _read(path, sha256, size, limits, progress)
    except OSError as error:
        raise DataRefused(f"“{path.name}” cannot be read or kept: {error.strerror or error}.") from None


def import_in_child(
    path: Path, limits: Limits = LIMITS, progress: Progress = lambda fraction, text: None
) -> ImportedTable:
    """`import_file` in a child with limits: for files of people whom nobody knows.

    Raises:
        DataRefused, intake.TooMuch: why it cannot be taken, and what to do.
    """
    try:
        sha256 = _sha256(path)
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
            imports=(
                "pandas",
                "pyarrow.parquet",
                "pyarrow.compute",
                "pyarrow.pandas_compat",
                "duckdb",
                "PIL.Image",
            ),
            refusals=(DataRefused,),
            progress=progress,
        )
    raise DataRefused(f"“{path.name}” was deleted by somebody else while it was read. Give it once more.")


def _import(path: str, limits: dict[str, Any], progress: Progress) -> None:
    import_file(Path(path), Limits(**limits), progress)


def bytes_on_disk(kept: ImportedTable) -> int:
    """What is kept of a file takes of the disk: more than the file, where it was packed."""
    return sum(file.stat().st_size for file in kept.folder.iterdir())


def find(sha256: str) -> ImportedTable | None:
    """What is kept of a file with this SHA-256; None where nothing is, or it is damaged."""
    folder = data_folder() / sha256
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        kept = ImportedTable(**{**facts, "columns": tuple(facts["columns"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return kept if (folder / ROWS).is_file() else None


def forget(sha256: str) -> None:
    """Remove what is kept of a file."""
    shutil.rmtree(data_folder() / sha256, ignore_errors=True)


def _read(path: Path, sha256: str, size: int, limits: Limits, progress: Progress) -> ImportedTable:
    import pyarrow as pa

    root = data_folder()
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".reading-", dir=root) as work:
        source = _source(path, Path(work), limits, progress)
        ready = Path(work) / "ready"
        ready.mkdir()
        schema, rows = source.schema(), 0
        with pa.OSFile(str(ready / ROWS), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
            for batch in source.read():
                rows += len(batch)
                writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
        if not rows:
            if not source.faults.count:
                names = ", ".join(f"“{name}”" for name in source.columns[:10])
                raise DataRefused(
                    f"“{path.name}” has the columns {names} and no rows. Give a file with rows."
                )
            raise DataRefused(" ".join(["Not one row of it can be used.", *source.faults.sentences()[:3]]))
        kept = ImportedTable(
            sha256, source.format, source.kind, source.columns, rows, size, source.encoding, source.separator,
            source.notes, source.faults.kept(),
        )  # fmt: skip
        (ready / FACTS).write_text(json.dumps(asdict(kept)), encoding="utf-8")
        place = root / sha256
        if place.exists() and find(sha256) is None:  # of a killed program, or damaged
            place.rename(Path(work) / f"old-{secrets.token_hex(4)}")
        if not place.exists():
            ready.rename(place)
        return kept


def _source(path: Path, work: Path, limits: Limits, progress: Progress) -> Source:
    """The reader by the file's name, or by its beginning where the name says nothing."""
    name = path.name.lower()
    with path.open("rb") as file:
        start = file.read(8)
    refuse_foreign(path, start)
    if start.startswith(b"PAR1"):
        return read_parquet(path, limits, progress)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return read_pictures(path, limits, progress)
    letters = first_letters(path)
    if _LIST_OF_OBJECTS.match(letters) or (letters.startswith("[") and name.endswith(".json")):
        return read_json_array(path, work, limits, progress)
    if name.endswith((".json", ".jsonl", ".ndjson")) or letters.startswith("{"):
        return read_json_lines(path, limits, progress)
    if name.endswith(ENDINGS):
        raise DataRefused(
            "One picture is no data to learn from. Give several, named by their class as cat_01.png, with a "
            "CSV of labels, or as a zip with one folder a class."
        )
    return read_delimited(path, work, limits, progress)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def row_errors_of(kept: ImportedTable) -> RowErrors:
    return RowErrors.of(kept.faults)
