"""Which reader a file is read by, from its name and its beginning; conversations in it become prompts."""

from __future__ import annotations

import gzip
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from cdvft_app.archives import DAMAGE, short
from cdvft_app.catalog.columns import refuses_preferences
from cdvft_app.catalog.conversations import (
    asked_in,
    is_conversation,
    join_conversations,
    split_conversation,
)
from cdvft_app.catalog.uploaded import EVALUATION_NAMES, TRAINING_NAMES
from cdvft_app.data.json_file import read_json_array, read_json_lines
from cdvft_app.data.parquet import read_parquet
from cdvft_app.data.pictures import read_pictures
from cdvft_app.data.row_errors import RowErrors
from cdvft_app.data.source import DataRefused, Limits, Source
from cdvft_app.data.spreadsheets import ODS_MEMBER, XLSX_MEMBER, read_spreadsheet
from cdvft_app.data.text_file import first_letters, read_delimited
from cdvft_app.data.zip_file import PICTURES, members_of
from cdvft_app.data.zip_file import ROWS as FILES_OF_ROWS
from cdvft_app.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 1 << 20
GZIP = b"\x1f\x8b"
TAR_MARK = slice(257, 262)
LONGEST_NAME = 200  # bytes of an unpacked member's name: file systems take 255, and readers add a word
SPLIT = "split"
OLD_EXCEL = (
    "is an Excel workbook in an old or binary format, or has a password. Save it as .xlsx without one."
)
NOT_READ = {
    b"\xd0\xcf\x11\xe0": OLD_EXCEL,
    b"%PDF": "is a PDF. Give its rows as a CSV, with a column of texts and one of labels.",
}
_LIST_OF_OBJECTS = re.compile(r"\[\s*\{")


def read_file(path: Path, work: Path, limits: Limits, progress: Progress, labelled: bool = True) -> Source:
    """Return the rows of a file; its format is told by its name, or by its beginning.

    Args:
        path: a file.
        work: an empty folder for what is unpacked.
        limits, progress: as said.
        labelled: whether the rows are to be learned from, and not to be answered.
    """
    path = unpacked(path, work, limits)
    name = path.name.lower()
    with path.open("rb") as file:
        start = file.read(8)
    for beginning, what in NOT_READ.items():
        if start.startswith(beginning):
            raise DataRefused(f"“{path.name}” {what}")
    if start.startswith(b"PAR1"):
        return read_parquet(path, limits, progress)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_source(path, work, limits, progress, labelled)
    letters = first_letters(path)
    if _LIST_OF_OBJECTS.match(letters) or (letters.startswith("[") and name.endswith(".json")):
        return read_json_array(path, limits, progress)
    if name.endswith((".json", ".jsonl", ".ndjson")) or letters.startswith("{"):
        return read_json_lines(path, limits, progress)
    if name.endswith(PICTURES):
        raise DataRefused(
            "One picture is no data to learn from. Give several, named by their class as cat_01.png, with a "
            "CSV of labels, or as a zip with one folder a class."
        )
    return read_delimited(path, limits, progress)


PROMPT, ANSWER = "prompt", "answer"
LOOKED_AT = 20  # values by which a column is taken for one of conversations
LEARNED = (
    "Of each conversation in “{name}” the last answer is learned; all that was said before it, a system "
    "prompt included, is its prompt."
)


def without_conversations(source: Source, labelled: bool = True) -> tuple[Source, bool]:
    """Return the source with prompt and answer in place of a column of conversations, and whether it had one.

    Those that are to be answered (not `labelled`) may end with what the user said, and all are kept: what is
    no conversation has no prompt.
    """
    if source.kind == "image":
        return source, False
    batches = source.read()
    first = next(batches, None)

    def read() -> Iterator[pa.RecordBatch]:
        for batch in chain([first] if first is not None else [], batches):
            yield _prompts_and_answers(batch, talks, source.faults, labelled) if talks else batch

    talks = _conversations_in(first) if first is not None else []
    names = source.columns
    if talks:
        names = (*(name for name in names if name not in (*talks, PROMPT, ANSWER)), PROMPT, ANSWER)
        if labelled:
            source.notes.insert(0, LEARNED.format(name="”, “".join(talks)))
    return replace(source, columns=names, read=read), bool(talks)


def _conversations_in(batch: pa.RecordBatch) -> list[str]:
    """Return the column of conversations; or two, of their beginnings and of their last answers; or none."""
    found = []
    for name in batch.schema.names[1:]:
        values = [one for one in batch.column(name).slice(0, LOOKED_AT).to_pylist() if one]
        if values and sum(map(is_conversation, values)) > len(values) / 2:
            found.append(name)
    if refuses_preferences(found):
        return []
    return found if found == ["prompt", "completion"] else found[:1]


def _prompts_and_answers(
    batch: pa.RecordBatch, talks: Sequence[str], faults: RowErrors, labelled: bool
) -> pa.RecordBatch:
    import pyarrow as pa

    prompts: list[str | None] = []
    answers: list[str | None] = []
    numbers = batch.column(0).to_pylist()
    for number, *parts in zip(numbers, *(batch.column(name).to_pylist() for name in talks), strict=True):
        try:
            said = parts[0] if len(parts) == 1 else join_conversations(parts)
            prompt, answer = split_conversation(said) if labelled else asked_in(said)
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
    return rows.filter(pa.array([one is not None for one in prompts])) if labelled else rows


def _zip_source(path: Path, work: Path, limits: Limits, progress: Progress, labelled: bool) -> Source:
    """Read a zip as a spreadsheet, as pictures, or as several files of rows, by what it holds."""
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
    return read_pictures(path, limits, progress, labelled)


def _several(path: Path, work: Path, limits: Limits, progress: Progress) -> Source:
    """Read several files with the same columns, one after the other, as one source."""
    faults = RowErrors()
    parts: dict[str, Source] = {}
    with zipfile.ZipFile(path) as archive:
        for member in members_of(archive, limits, faults, (".gz",)):
            name = PurePosixPath(member.filename).name
            if not name.lower().endswith(FILES_OF_ROWS):
                faults.add(member.filename, "it holds no rows", "leave it out")
                continue
            folder = Path(mkdtemp(dir=work))
            target = folder / name.encode()[-LONGEST_NAME:].decode(errors="ignore")
            with archive.open(member) as packed_file, target.open("wb") as file:
                shutil.copyfileobj(packed_file, file, CHUNK)
            parts[member.filename] = part = read_file(target, folder, limits, progress)
            if part.kind == "image":
                raise DataRefused(
                    f"{short(member.filename)} in the zip holds pictures. Give it alone, as it is."
                )
    if not parts:
        raise DataRefused(f"“{path.name}” holds no files of rows that are not hidden. Pack them anew.")
    (first_name, first), *others = parts.items()
    for name, one in others:
        if {*one.columns} != {*first.columns}:
            raise DataRefused(
                f"{short(name)} has the columns {', '.join(one.columns[:10])}, and {short(first_name)} has "
                f"{', '.join(first.columns[:10])}. Give files with the same columns."
            )
    sides = {name: PurePosixPath(name).name.partition(".")[0].lower() for name in parts}
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
        source.notes[:0] = _notes_of(parts)  # a part may have some only now that it was read

    columns = (*first.columns, SPLIT) if is_split else first.columns
    formats = "”, “".join(dict.fromkeys(one.format for one in parts.values()))
    source = Source(
        f"{len(parts)} files, {formats}" if others else first.format,
        "text",
        columns,
        read,
        encoding=None if others else first.encoding,
        separator=None if others else first.separator,
        faults=faults,
        rows_have_names=True,
    )
    if is_split:
        source.notes.append("What is trained and what is evaluated on is as the files are named.")
    return source


def _notes_of(parts: Mapping[str, Source]) -> Iterator[str]:
    """Yield each note of the parts once, with the first part of several that has it."""
    named: dict[str, list[str]] = {}
    for name, part in parts.items():
        for note in part.notes:
            named.setdefault(note, []).append(name)
    for note, names in named.items():
        more = f" and {len(names) - 1:,} more" if names[1:] else ""
        yield f"{short(names[0])}{more}: {note}" if len(parts) > 1 else note


def without_gz(path: Path) -> Path:
    """Return the path without the ending .gz: tickets.csv for tickets.csv.gz and for itself."""
    return path.with_suffix("") if path.suffix.lower() == ".gz" else path


def unpacked(path: Path, work: Path, limits: Limits) -> Path:
    """Return the file itself, or the one that gzip packed in it, unpacked into `work` within the limits."""
    with path.open("rb") as file:
        if file.read(len(GZIP)) != GZIP:
            return path
    inner = without_gz(path).name
    target = work / (inner if inner != path.name else f"{path.name} unpacked")
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
