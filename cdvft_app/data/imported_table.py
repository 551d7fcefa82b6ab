"""A file's rows as an Arrow table, in a folder named by the file's SHA-256, with what was found in it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import secrets
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from cdvft_app.catalog import columns
from cdvft_app.catalog.columns import Column, refuses_preferences
from cdvft_app.catalog.conversations import is_conversation, join_conversations, split_conversation
from cdvft_app.catalog.uploaded import EVALUATION_NAMES, IMAGE, ROW, ROWS, TRAINING_NAMES, kept_table
from cdvft_app.data.csv_file import read_delimited
from cdvft_app.data.json_file import read_json_array, read_json_lines
from cdvft_app.data.lines import first_letters
from cdvft_app.data.parquet import read_parquet
from cdvft_app.data.pictures import FORMATS, read_pictures
from cdvft_app.data.source import LIMITS, DataRefused, Limits, Progress, RowErrors, Source
from cdvft_app.data.spreadsheets import ODS_MEMBER, XLSX_MEMBER, read_spreadsheet
from cdvft_app.data.zip_file import DAMAGE, PICTURES, members_of, packed, short
from cdvft_app.data.zip_file import ROWS as FILES_OF_ROWS
from cdvft_app.public import intake
from cdvft_app.settings.environment import data_folder

if TYPE_CHECKING:
    import pyarrow as pa

FACTS = "facts.json"
CHUNK = 1 << 20
GZIP = b"\x1f\x8b"
TAR_MARK = slice(257, 262)
SPLIT = "split"
OLD_EXCEL = (
    "is an Excel workbook in an old or binary format, or has a password. Save it as .xlsx without one."
)
NOT_READ = {
    b"\xd0\xcf\x11\xe0": OLD_EXCEL,
    b"%PDF": "is a PDF. Give its rows as a CSV, with a column of texts and one of labels.",
}
# What readers of files import, whose own memory does not count.
READERS = (
    "defusedxml.ElementTree", "duckdb", "openpyxl", "pandas", "PIL.Image", "pyarrow.compute",
    "pyarrow.pandas_compat", "pyarrow.parquet",
)  # fmt: skip
ATTEMPTS = 3  # to read a file, where somebody else deletes the same one meanwhile
_LIST_OF_OBJECTS = re.compile(r"\[\s*\{")


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
            imports=READERS,
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
        source, conversations = _without_conversations(source)
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
            source.notes, source.faults.kept(), conversations,
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
    if start.startswith(GZIP):
        path = _unpacked(path, work, limits)
        return _source(path, work, limits, progress)
    for beginning, what in NOT_READ.items():
        if start.startswith(beginning):
            raise DataRefused(f"“{path.name}” {what}")
    if start.startswith(b"PAR1"):
        return read_parquet(path, limits, progress)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_source(path, work, limits, progress)
    letters = first_letters(path)
    if _LIST_OF_OBJECTS.match(letters) or (letters.startswith("[") and name.endswith(".json")):
        return read_json_array(path, work, limits, progress)
    if name.endswith((".json", ".jsonl", ".ndjson")) or letters.startswith("{"):
        return read_json_lines(path, limits, progress)
    if name.endswith(PICTURES):
        raise DataRefused(
            "One picture is no data to learn from. Give several, named by their class as cat_01.png, with a "
            "CSV of labels, or as a zip with one folder a class."
        )
    return read_delimited(path, work, limits, progress)


PROMPT, ANSWER = "prompt", "answer"
LOOKED_AT = 20  # values by which a column is taken for one of conversations
LEARNED = (
    "Of each conversation in “{name}” the last answer is learned; all that was said before it, a system "
    "prompt included, is its prompt."
)


def _without_conversations(source: Source) -> tuple[Source, bool]:
    """The source with prompt and answer in place of a column of conversations; and whether it had one."""

    if source.kind == "image":
        return source, False
    batches = source.read()
    first = next(batches, None)

    def read() -> Iterator[pa.RecordBatch]:
        for batch in chain([first] if first is not None else [], batches):
            yield _prompts_and_answers(batch, talks, source.faults) if talks else batch

    talks = _conversations_in(first) if first is not None else []
    names = source.columns
    if talks:
        names = (*(name for name in names if name not in (*talks, PROMPT, ANSWER)), PROMPT, ANSWER)
        source.notes.insert(0, LEARNED.format(name="”, “".join(talks)))
    return replace(source, columns=names, read=read), bool(talks)


def _conversations_in(batch: pa.RecordBatch) -> list[str]:
    """The column of conversations; or two, of their beginnings and of what comes last; or none."""
    found = []
    for name in batch.schema.names[1:]:
        values = [one for one in batch.column(name).slice(0, LOOKED_AT).to_pylist() if one]
        if values and sum(map(is_conversation, values)) > len(values) / 2:
            found.append(name)
    if refuses_preferences(found):
        return []
    return found if found == ["prompt", "completion"] else found[:1]


def _prompts_and_answers(batch: pa.RecordBatch, talks: Sequence[str], faults: RowErrors) -> pa.RecordBatch:
    import pyarrow as pa

    prompts: list[str | None] = []
    answers: list[str | None] = []
    numbers = batch.column(0).to_pylist()
    for number, *parts in zip(numbers, *(batch.column(name).to_pylist() for name in talks), strict=True):
        try:
            prompt, answer = split_conversation(parts[0] if len(parts) == 1 else join_conversations(parts))
        except ValueError as error:
            faults.add(number, str(error), "mend it, or drop the row", talks[0])
            prompts.append(None)
            answers.append(None)
            continue
        prompts.append(prompt)
        answers.append(answer)
    kept = [name for name in batch.schema.names if name not in (*talks, PROMPT, ANSWER)]
    arrays = [
        *(batch.column(name) for name in kept),
        pa.array(prompts, pa.string()),
        pa.array(answers, pa.string()),
    ]
    rows = pa.RecordBatch.from_arrays(arrays, names=[*kept, PROMPT, ANSWER])
    return rows.filter(pa.array([one is not None for one in prompts]))


@lru_cache(maxsize=32)
def _columns_of(sha256: str, names: tuple[str, ...], pictures: str | None) -> tuple[Column, ...]:
    return columns.columns_of(kept_table(sha256), names, pictures)


def columns_of(imported: ImportedTable) -> tuple[Column, ...]:
    """Types, missing and different values of each column."""
    return _columns_of(imported.sha256, imported.columns, IMAGE if imported.kind == "image" else None)


def preview(imported: ImportedTable, count: int) -> list[dict[str, Any]]:
    """The first rows, without pictures."""
    pictures = [IMAGE] if imported.kind == "image" else []
    rows = kept_table(imported.sha256).slice(0, count).drop_columns(pictures).to_pylist()
    return [{("row" if name == ROW else name): value for name, value in row.items()} for row in rows]


def thumbnails(imported: ImportedTable, count: int, side: int) -> list[str]:
    """The first pictures as PNGs of at most `side` pixels, base64, decoded in a child with limits.

    Raises:
        intake.TooMuch: they take more than one may take here.
    """
    found: list[str] = intake.read_in_child(
        _thumbnails, imported.sha256, count, side, limits=intake.child_limits(), imports=READERS
    )
    return found


def _thumbnails(sha256: str, count: int, side: int, _progress: Progress) -> list[str]:
    from PIL import Image

    found = []
    for picture in kept_table(sha256).column(IMAGE).slice(0, count).to_pylist():
        with Image.open(io.BytesIO(picture["bytes"]), formats=FORMATS) as opened:
            small = opened.convert("RGB")
        small.thumbnail((side, side))
        file = io.BytesIO()
        small.save(file, "PNG")
        found.append(base64.b64encode(file.getvalue()).decode())
    return found


def _zip_source(path: Path, work: Path, limits: Limits, progress: Progress) -> Source:
    """A spreadsheet, pictures, or several files of rows, by what the zip holds."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except DAMAGE:
        raise DataRefused(f"“{path.name}” is no whole zip file. Pack it again.") from None
    if "xl/workbook.bin" in names:
        raise DataRefused(f"“{path.name}” {OLD_EXCEL}")
    if XLSX_MEMBER in names or ODS_MEMBER in names:
        return read_spreadsheet(path, limits, progress)
    has_pictures = any(name.lower().endswith(PICTURES) for name in names)
    if not has_pictures and any(name.lower().endswith(FILES_OF_ROWS) for name in names):
        return _several(path, work, limits, progress)
    return read_pictures(path, limits, progress)


def _several(path: Path, work: Path, limits: Limits, progress: Progress) -> Source:
    """The rows of several files with the same columns, one file after the other."""
    faults = RowErrors()
    parts: dict[str, Source] = {}
    with zipfile.ZipFile(path) as archive:
        for place, member in enumerate(members_of(archive, limits, faults)):
            name = PurePosixPath(member.filename).name
            if not name.lower().endswith(FILES_OF_ROWS):
                faults.add(member.filename, "it holds no rows", "leave it out")
                continue
            folder = work / str(place)
            folder.mkdir()
            target = folder / f"rows{''.join(PurePosixPath(name).suffixes[-2:])}"
            with archive.open(member) as packed_file, target.open("wb") as file:
                shutil.copyfileobj(packed_file, file, CHUNK)
            parts[name] = _source(target, folder, limits, progress)
    (first_name, first), *others = parts.items()
    for name, one in others:
        if {*one.columns} != {*first.columns} or one.kind != "text":
            raise DataRefused(
                f"{short(name)} has the columns {', '.join(one.columns[:10])}, and {short(first_name)} has "
                f"{', '.join(first.columns[:10])}. Give files with the same columns."
            )
    sides = {name: name.partition(".")[0].lower() for name in parts}
    is_split = SPLIT not in first.columns and {*sides.values()} <= {*TRAINING_NAMES, *EVALUATION_NAMES}
    is_split = is_split and len({side in EVALUATION_NAMES for side in sides.values()}) == 2

    def read() -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        total = 0
        for name, one in parts.items():
            for batch in one.read():
                total += len(batch)
                if total > limits.rows:
                    raise DataRefused(
                        f"They have more than {limits.rows:,} rows, the most that are taken. Give a part."
                    )
                places = [f"{name}, row {number}" for number in batch.column(0).to_pylist()]
                arrays = [pa.array(places, pa.string()), *(batch.column(column) for column in first.columns)]
                more = [pa.array([sides[name]] * len(batch), pa.string())] if is_split else []
                yield pa.RecordBatch.from_arrays([*arrays, *more], schema=source.schema())
            for fault in one.faults.kept():
                rows = [f"{name}, row {row}" for row in fault["rows"]]
                faults.add_counted(rows, fault["count"], fault["what"], fault["advice"], fault["column"])

    columns = (*first.columns, SPLIT) if is_split else first.columns
    formats = "”, “".join(dict.fromkeys(one.format for one in parts.values()))
    source = Source(
        f"{len(parts)} files, {formats}" if others else first.format,
        "text",
        columns,
        read,
        notes=[note for one in parts.values() for note in one.notes],
        faults=faults,
        rows_have_names=True,
    )
    if is_split:
        source.notes.append("What is trained and what is evaluated on is as the files are named.")
    return source


def _unpacked(path: Path, work: Path, limits: Limits) -> Path:
    """The file within one that gzip packed; no larger than a file may be."""
    target = work / (path.name[:-3] if path.name.lower().endswith(".gz") else f"{path.name} unpacked")
    size = 0
    try:
        with gzip.open(path) as packed, target.open("wb") as file:
            while chunk := packed.read(CHUNK):
                size += len(chunk)
                if size > limits.file_bytes:
                    raise DataRefused(
                        f"“{path.name}” unpacks to more than {limits.file_bytes / 1e6:,.0f} MB, the most "
                        "that is taken. Give a part of it."
                    )
                file.write(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise DataRefused(f"“{path.name}” is damaged: gzip cannot unpack it. Pack it again.") from None
    with target.open("rb") as file:
        start = file.read(TAR_MARK.stop)
    if start.startswith(GZIP) or start[TAR_MARK] == b"ustar":
        raise DataRefused(f"“{path.name}” holds an archive. Give the files in it.")
    return target


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def row_errors_of(kept: ImportedTable) -> RowErrors:
    return RowErrors.of(kept.faults)
