"""A file given back with answers: all its columns as they were, and the answer to each of its rows.

The rows are read as for training. They are written row by row, into CSV, TSV, JSONL, JSON, Parquet, .xlsx or
.ods; where both files are of one format, values keep their types. Answers stand in a file of their own
meanwhile (`Answers`), a line a row, so that whoever stops can go on.
"""

from __future__ import annotations

import csv
import heapq
import json
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cdvft_app.catalog.conversations import asked_in, is_conversation, transcript
from cdvft_app.catalog.uploaded import IMAGE, ROW, ROWS
from cdvft_app.data.csv_file import SEPARATORS, escaped_formula
from cdvft_app.data.imported_table import READERS, ImportedTable, read_into, require_size
from cdvft_app.data.read_file import read_file, unpacked
from cdvft_app.data.row_errors import RowErrors
from cdvft_app.data.source import DataRefused, Limits, Source
from cdvft_app.data.spreadsheets import EXCEL, OPEN_DOCUMENT, OdsWriter
from cdvft_app.data.zip_file import PICTURES, packed, packed_files
from cdvft_app.files import sha256_of
from cdvft_app.progress import Progress, silent
from cdvft_app.public import intake

if TYPE_CHECKING:
    import pyarrow as pa

ANSWERS = "answers.jsonl"
MAX_WRONG = 20  # rows that are named
SHOWN = 300  # characters of an input that is shown
MAX_SHEET_ROWS, MAX_EXCEL_CHARACTERS = 1_048_575, 32_767
FILE = "file"  # the column of a picture's name
PARQUET = "Parquet"  # as its reader calls it


# Reading


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


# Answers


@dataclass(frozen=True)
class Answer:
    """To one row: None where it cannot be answered. `why` says that, or why it is answered and not scored, as
    `RowErrors.add` takes it.

    `confidence` is a probability; `check` is whether the answer is right, the error of a number (answer minus
    label), or the score of a text; both None where there is nothing to say. `expected` is the row's label.
    """

    value: str | float | None
    confidence: float | None = None
    check: bool | float | None = None
    expected: str | float | None = None
    why: Sequence[str] = ()


class Answers:
    """The answers so far, a line of JSON each below one that says what was asked: `about`.

    A file that is about something else is begun anew.
    """

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self._path, self.about = path, about
        self.count = self._count_answers()
        if not self.count:
            path.write_text(json.dumps(about) + "\n", encoding="utf-8")
            path.chmod(0o600)

    def _count_answers(self) -> int:
        """Return the number of whole lines of answers, and cut off what a killed program left of another."""
        with suppress(OSError, ValueError):
            with self._path.open("rb") as file:
                if json.loads(file.readline()) != self.about:
                    return 0
                count, end = 0, file.tell()
                while file.readline().endswith(b"\n"):
                    count, end = count + 1, file.tell()
            with self._path.open("rb+") as file:
                file.truncate(end)
            return count
        return 0

    def add(self, answers: Sequence[Answer]) -> None:
        lines = [json.dumps([*vars(one).values()], ensure_ascii=False) + "\n" for one in answers]
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(lines)
        self.count += len(lines)

    def __iter__(self) -> Iterator[Answer]:
        return answers_in(self._path)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


def answers_in(path: Path) -> Iterator[Answer]:
    with path.open(encoding="utf-8") as file:
        next(file)
        for line in file:
            yield Answer(*json.loads(line))


# Writing


@dataclass(frozen=True)
class Added:
    """A column that is added: what of an `Answer` it holds, how it is called, and its type."""

    field: Literal["value", "confidence", "check"]
    name: str
    type: type[str] | type[float] | type[bool]


@dataclass(frozen=True)
class WrongRow:
    """The row's number or the picture's name, what was read in it, its answer and its label.

    `read` is empty for a picture.
    """

    row: str
    read: str
    answer: str
    expected: str


@dataclass(frozen=True)
class Written:
    """`rows` of the file, `answered` of them, the worst answers, and sentences on why others have none, or
    have a label and are not scored."""

    rows: int
    answered: int
    wrong: tuple[WrongRow, ...]
    unanswered: tuple[str, ...] = ()
    unscored: tuple[str, ...] = ()


@dataclass
class Reasons:
    """Why rows have no answer, or have a label and are not scored."""

    unanswered: RowErrors = field(default_factory=RowErrors)
    unscored: RowErrors = field(default_factory=RowErrors)

    def add(self, row: int | str, answer: Answer) -> None:
        if answer.why:
            (self.unanswered if answer.value is None else self.unscored).add(row, *answer.why)

    def sentences(self) -> dict[str, tuple[str, ...]]:
        """Return both as `Written` has them."""
        of = {"unanswered": self.unanswered, "unscored": self.unscored}
        return {name: tuple(map(str, errors.sentences())) for name, errors in of.items()}


def write_answered(
    path: Path,
    out: Path,
    folder: Path,
    answers: Iterable[Answer],
    *,
    inputs: Sequence[str],
    added: Sequence[Added],
    limits: Limits,
    escaped: bool = False,
    progress: Progress = silent,
) -> Written:
    """Write the file `out`: the rows of `path` with their answers.

    Args:
        path: the file as it was given.
        out: its ending says in which format.
        folder: of `read_unlabelled`.
        answers: to all of its rows.
        inputs: the columns that were read, for what is shown of wrong rows.
        added: the columns of the answers.
        limits: as the file was read with.
        escaped: of CSV, whether an apostrophe is put before what a spreadsheet would take for a formula.
        progress: told how far it is.

    Raises:
        DataRefused: it cannot be written so, and what to do.
    """
    writer_of = _writer_of(out)
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=folder) as work:
        path = path if path.is_dir() else unpacked(path, Path(work), limits)
        source = _as_given(path, folder, Path(work), limits, progress)
        read_from = [ROW if name == IMAGE and source.kind == "image" else name for name in source.columns]
        names = [_other_than(source.columns, FILE) if name == ROW else name for name in read_from]
        added = [replace(one, name=_other_than(names, one.name)) for one in added]
        remaining, rows, answered = iter(answers), 0, 0
        reasons = Reasons()
        worst: list[tuple[float, int, WrongRow]] = []
        writer = writer_of(out, source, names, added, escaped)
        try:
            for batch in source.read():
                columns = [batch.column(name).to_pylist() for name in read_from]
                of_batch = list(islice(remaining, len(batch)))
                writer.write(list(zip(*columns, strict=True)), source.originals, of_batch)
                read = [columns[names.index(name)] for name in inputs if name in names] or [
                    column for column in columns if any(map(is_conversation, column))
                ]
                numbers = batch.column(0).to_pylist()
                for place, one in enumerate(of_batch):
                    rows, answered = rows + 1, answered + (one.value is not None)
                    reasons.add(numbers[place], one)
                    if badness := _badness(one):
                        shown = " / ".join(_shown(column[place]) for column in read)[:SHOWN]
                        row = WrongRow(str(numbers[place]), shown, str(one.value), str(one.expected))
                        heapq.heappush(worst, (badness, -rows, row))
                        if len(worst) > MAX_WRONG:
                            heapq.heappop(worst)
                progress(None, f"Writing row {rows:,}")
                del batch, columns, of_batch, read, numbers  # one batch is in memory, not the next one, too
        finally:
            writer.close()
    wrong = tuple(row for _, _, row in sorted(worst, key=lambda one: one[:2])[::-1])
    return Written(rows, answered, wrong, **reasons.sentences())


def write_answered_in_child(
    path: Path,
    out: Path,
    folder: Path,
    *,
    inputs: Sequence[str],
    added: Sequence[Added],
    limits: Limits,
    escaped: bool = False,
) -> Written:
    """Call `write_answered` in a child with limits, which reads the file and the folder's answers again."""
    columns = [(one.field, one.name, one.type.__name__) for one in added]
    found = intake.read_in_child(
        _write, str(path), str(out), str(folder), list(inputs), columns, asdict(limits), escaped,
        limits=intake.child_limits(), imports=READERS, refusals=(DataRefused,),
    )  # fmt: skip
    wrong = tuple(WrongRow(**one) for one in found["wrong"])
    why = tuple(found["unanswered"]), tuple(found["unscored"])
    return Written(found["rows"], found["answered"], wrong, *why)


def _write(  # noqa: PLR0917 - a child's arguments have no names
    path: str,
    out: str,
    folder: str,
    inputs: list[str],
    columns: list[Any],
    limits: dict[str, Any],
    escaped: bool,
    progress: Progress,
) -> dict[str, Any]:
    types = {"str": str, "float": float, "bool": bool}
    added = [Added(field, name, types[kind]) for field, name, kind in columns]
    written = write_answered(
        Path(path), Path(out), Path(folder), answers_in(Path(folder, ANSWERS)), inputs=inputs, added=added,
        limits=Limits(**limits), escaped=escaped, progress=progress,
    )  # fmt: skip
    return asdict(written)


def require_writable(out: Path) -> None:
    """Raise `DataRefused` where no format is known by the ending of `out`."""
    _writer_of(out)


def _writer_of(out: Path) -> type[_Writer]:
    if out.suffix.lower() not in WRITERS:
        raise DataRefused(
            f"“{out.name}” cannot be written: its ending says no format that is. Give one of "
            f"{', '.join(WRITERS)}."
        )
    return WRITERS[out.suffix.lower()]


def _as_given(path: Path, folder: Path, work: Path, limits: Limits, progress: Progress) -> Source:
    """Return the rows as the file has them, in the order and number in which they lie in the folder."""
    if path.is_dir() or path.name.lower().endswith(PICTURES):
        return _of_pictures(folder)
    source = read_file(path, work, limits, progress, labelled=False)
    source.keep_originals = True
    return _of_pictures(folder) if source.kind == "image" and source.format != PARQUET else source


def _of_pictures(folder: Path) -> Source:
    """Return the rows that were read into the folder as a source: of pictures nothing else is given back."""
    first = next(rows_of(folder))
    return Source("pictures", "image", tuple(first.schema.names[1:]), lambda: rows_of(folder))


def _other_than(names: Sequence[str], wanted: str) -> str:
    taken = {name.lower() for name in names}
    places = (f"{wanted} {place}" if place > 1 else wanted for place in count(1))
    return next(name for name in places if name.lower() not in taken)


def _shown(value: Any) -> str:
    """Return a value as a person reads it; of a conversation the turns that are to be answered."""
    with suppress(ValueError):
        return transcript(asked_in(value)[0])
    return str(value or "")


def _badness(one: Answer) -> float:
    """Return how wrong an answer is; 0 where it is right or nothing is known."""
    if one.check is None:
        return 0.0
    return abs(one.check) if isinstance(one.expected, float) else 1 - float(one.check)


Texts = Sequence[Sequence[str | None]]


class _Writer(ABC):
    """A file that is written batch by batch: rows as text, the same as the file has them, their answers."""

    def __init__(
        self,
        out: Path,
        source: Source,
        names: Sequence[str],
        added: Sequence[Added],
        escaped: bool,
    ) -> None:
        self.source, self.names, self.added, self.escaped = source, [*names], added, escaped
        self.open(out)

    @property
    def head(self) -> list[str]:
        return [*self.names, *(one.name for one in self.added)]

    def cells(self, answer: Answer) -> list[Any]:
        """Return the values of the added columns for an answer."""
        return [getattr(answer, one.field) for one in self.added]

    @abstractmethod
    def open(self, out: Path) -> None: ...

    @abstractmethod
    def write(self, rows: Texts, originals: Any, answers: Sequence[Answer]) -> None: ...

    @abstractmethod
    def close(self) -> None: ...


class _Delimited(_Writer):
    """CSV in the separator of a CSV that was given; UTF-8, marked so where Excel wrote the file."""

    separator = ","

    def open(self, out: Path) -> None:
        is_csv, separator = self.source.format == "CSV", self.separator
        if is_csv and separator == ",":
            said = self.source.separator or ""
            separator = {name: mark for mark, name in SEPARATORS.items()}.get(said, said.strip("“”"))
        is_marked = self.source.format == EXCEL or (is_csv and self.source.is_marked)
        self._file = out.open("w", encoding="utf-8-sig" if is_marked else "utf-8", newline="")
        self._writer = csv.writer(self._file, delimiter=separator, lineterminator="\n")
        self._writer.writerow(self.head)

    def write(self, rows: Texts, originals: Any, answers: Sequence[Answer]) -> None:
        for row, answer in zip(rows, answers, strict=True):
            cells = [_as_text(one) for one in (*row, *self.cells(answer))]
            self._writer.writerow(map(escaped_formula, cells) if self.escaped else cells)

    def close(self) -> None:
        self._file.close()


class _Tabs(_Delimited):
    separator = "\t"


def _as_text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "", True: "true", False: "false"}[value]
    return str(value)


class _Lines(_Writer):
    """JSONL: the objects that were given, with the answers in them."""

    before, between, after = "", "\n", "\n"

    def open(self, out: Path) -> None:
        self._file = out.open("w", encoding="utf-8")
        self._file.write(self.before)
        self._is_first = True

    def write(self, rows: Texts, originals: Any, answers: Sequence[Answer]) -> None:
        given = originals if self.source.format in ("JSON", "JSONL") and originals else None
        names = [one.name for one in self.added]
        for place, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            own = given[place] if given else dict(zip(self.names, row, strict=True))
            whole = {**own, **dict(zip(names, self.cells(answer), strict=True))}
            self._file.write(("" if self._is_first else self.between) + json.dumps(whole, ensure_ascii=False))
            self._is_first = False

    def close(self) -> None:
        self._file.write(self.after)
        self._file.close()


class _Array(_Lines):
    """A list of the same objects."""

    before, between, after = "[\n", ",\n", "\n]\n"


class _Parquet(_Writer):
    """The columns of a Parquet file that was given in their types, others as text."""

    def open(self, out: Path) -> None:
        self._out = out
        self._writer: Any = None

    def write(self, rows: Texts, originals: Any, answers: Sequence[Answer]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        types = {str: pa.string(), float: pa.float64(), bool: pa.bool_()}
        if isinstance(originals, pa.RecordBatch):
            fields, arrays = list(originals.schema), originals.columns
        else:
            fields = [pa.field(name, pa.string()) for name in self.names]
            arrays = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
        cells = zip(*map(self.cells, answers), strict=True)
        arrays = [
            *arrays,
            *(pa.array(one, types[of.type]) for one, of in zip(cells, self.added, strict=True)),
        ]
        schema = pa.schema([*fields, *(pa.field(one.name, types[one.type]) for one in self.added)])
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._out, schema)
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class _Spreadsheet(_Writer):
    """Cells of a spreadsheet that was given keep their types, and every text is a text, no formula."""

    rows = 0  # below the head

    @abstractmethod
    def append(self, cells: Sequence[Any]) -> None: ...

    def write(self, rows: Texts, originals: Any, answers: Sequence[Answer]) -> None:
        typed = originals if self.source.format in (EXCEL, OPEN_DOCUMENT) and originals else None
        width = len(self.names)
        for place, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            own: Sequence[Any] = [*typed[place], *[None] * width][:width] if typed else row
            self.rows += 1
            if self.rows > MAX_SHEET_ROWS:
                raise DataRefused(
                    f"A sheet has at most {MAX_SHEET_ROWS:,} rows below its head, and this has more. Give "
                    "a name that ends in .csv or .parquet."
                )
            self.append([*own, *self.cells(answer)])


class _Workbook(_Spreadsheet):
    """.xlsx"""

    def open(self, out: Path) -> None:
        from openpyxl import Workbook

        self._out, self._book = out, Workbook(write_only=True)
        self._sheet = self._book.create_sheet("answered")
        self.append(self.head)

    def append(self, cells: Sequence[Any]) -> None:
        self._sheet.append([self._cell(one) for one in cells])

    def _cell(self, value: Any) -> Any:
        from openpyxl.cell import WriteOnlyCell
        from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

        if not isinstance(value, str):
            return value
        if len(value) > MAX_EXCEL_CHARACTERS:
            raise DataRefused(
                f"Row {self.rows:,} has a value of {len(value):,} characters; a cell of .xlsx takes "
                f"{MAX_EXCEL_CHARACTERS:,}. Give a name that ends in .csv or .parquet."
            )
        cell = WriteOnlyCell(self._sheet, ILLEGAL_CHARACTERS_RE.sub("", value))
        cell.data_type = "s"
        return cell

    def close(self) -> None:
        self._book.save(self._out)
        self._book.close()


class _OpenDocument(_Spreadsheet):
    """.ods"""

    def open(self, out: Path) -> None:
        self._file = OdsWriter(out, "answered")
        self.append(self.head)

    def append(self, cells: Sequence[Any]) -> None:
        self._file.append(cells)

    def close(self) -> None:
        self._file.close()


WRITERS: dict[str, type[_Writer]] = {
    ".csv": _Delimited,
    ".tsv": _Tabs,
    ".jsonl": _Lines,
    ".json": _Array,
    ".parquet": _Parquet,
    ".xlsx": _Workbook,
    ".ods": _OpenDocument,
}
