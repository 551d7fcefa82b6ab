"""Read text files line by line in any common encoding, and CSV files record by record."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, dropwhile, islice
from pathlib import Path
from typing import TYPE_CHECKING

from cdvft_app.data.row_errors import RowErrors
from cdvft_app.data.source import DataRefused, Limits, Source, distinct_names, row_batches, short_values
from cdvft_app.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # starts with the mark of UTF-16, so it comes first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
NAMES = {
    "utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16",
    "utf-32": "UTF-32", "cp1252": "Windows-1252 (Western)", "cp1250": "Windows-1250 (Central European)",
    "cp1251": "Windows-1251 (Cyrillic)", "cp1253": "Windows-1253 (Greek)", "shift_jis": "Shift JIS",
    "gb18030": "GB 18030", "euc_kr": "EUC-KR",
}  # fmt: skip
LEGACY = ("cp1252", "cp1250", "cp1251", "cp1253", "shift_jis", "gb18030", "euc_kr")
HEAD, CHUNK, SAMPLE = 4096, 1 << 20, 1 << 16  # bytes
UTF_16_ZEROS = 0.7  # share of zeros in every other byte of UTF-16 without a mark
NAMED = 5  # places in a note
STRAY = re.compile("[\udc80-\udcff]")
MIXED = "Lines that are not UTF-8 and were read as Windows-1252: {count:,} ({places}). Check their letters."


def first_letters(path: Path) -> str:
    """Return the first characters of a file without leading blanks. The file need not be text."""
    with path.open("rb") as file:
        start = file.read(HEAD)
    return start.decode(_marked(start) or "latin-1", "ignore").lstrip()


def _marked(start: bytes) -> str | None:
    for mark, name in MARKS:
        if start.startswith(mark):
            return name
    for name, zeros in (("utf-16-le", start[1::2]), ("utf-16-be", start[::2])):
        if zeros and zeros.count(0) > UTF_16_ZEROS * len(zeros) and start.count(0) == zeros.count(0):
            return name
    return None


def _unmarked(path: Path) -> tuple[str, bool]:
    """Return the encoding of a file without a mark, and whether it is UTF-8 with invalid bytes."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    valid = invalid = 0
    sample = b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            if chunk.isascii():
                continue
            text = decoder.decode(chunk)
            broken = text.count("\ufffd")
            valid += sum(not letter.isascii() for letter in text) - broken
            invalid += broken
            if broken and len(sample) < SAMPLE:
                sample += b"\n".join(line for line in chunk.splitlines() if not line.isascii())[:SAMPLE]
    if invalid <= valid:
        return "utf-8", invalid > 0
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=list(LEGACY)).best()
    western = from_bytes(sample, cp_isolation=["cp1252"]).best()
    if best is None or (western and western.chaos <= best.chaos):
        return "cp1252", False
    return best.encoding, False


@dataclass
class TextFile:
    """A text file with its encoding.

    Attributes:
        most: characters of the longest line that is read.
        mixed: lines of a UTF-8 file that were read as Windows-1252.
    """

    path: Path
    most: int
    issues: RowErrors
    progress: Progress
    encoding: str = field(init=False)
    mixed: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        with self.path.open("rb") as file:
            start = file.read(HEAD)
        marked = _marked(start)
        if not marked and b"\0" in start:
            raise DataRefused(
                f"“{self.path.name}” is not a text file. Upload a CSV, TSV, Excel, JSON, JSONL, or Parquet "
                "file, or a zip of images."
            )
        self.encoding, self._has_strays = (marked, False) if marked else _unmarked(self.path)

    def lines(self) -> Iterator[str]:
        """Yield each line without its end. A line that is too long becomes an empty one and an issue."""
        size, done = max(self.path.stat().st_size, 1), 0
        errors = "surrogateescape" if self._has_strays else "replace"
        with self.path.open(encoding=self.encoding, errors=errors) as file:
            for number, line in enumerate(iter(lambda: file.readline(self.most + 1), ""), 1):
                done += len(line)
                if number % 50_000 == 0:
                    self.progress(min(done / size, 1.0), f"Reading row {number:,}")
                if len(line) > self.most and not line.endswith("\n"):
                    while (rest := file.readline(self.most)) and not rest.endswith("\n"):
                        pass
                    self.issues.add(number, f"it is longer than {self.most:,} characters", "shorten it")
                    yield ""
                elif self._has_strays and STRAY.search(line):
                    self.mixed.append(number)
                    found = line.encode("utf-8", "surrogateescape").decode("utf-8", "cdvft-western")
                    yield found.removesuffix("\n")
                else:
                    yield line.removesuffix("\n")

    def notes(self) -> list[str]:
        if not self.mixed:
            return []
        places = ", ".join(map(str, self.mixed[:NAMED])) + (", …" if self.mixed[NAMED:] else "")
        return [MIXED.format(count=len(self.mixed), places=places)]


def _western(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error("cdvft-western", _western)


# CSV

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
SAYS_SEPARATOR = re.compile(r'"?sep=([^"])"? *', re.IGNORECASE)  # the first line of some Excel exports
SAMPLED = 200  # lines from which the separator and the header are found
HEAD_ROWS = 20  # in which a column's name must not repeat
LONGEST_NAME = 60  # characters of a column's name; a longer first row is data
QUOTE_LINES = 50  # of one quoted value; one that continues was never closed
REGULAR, MIN_BELOW_TITLE = 0.9, 3  # share and number of regular lines that make lines above them a title
NONE = "\x1f"  # separates nothing in text
UNCLOSED = "a quotation mark is opened and never closed", "close it, or remove it"
AFTER_CLOSING = "text follows a closing quotation mark", "double the quotation marks inside a value"
TOO_FEW = "it has fewer values than the header has columns", "add the missing values"
TOO_MANY = "it has more values than the header has columns", "quote values that contain the separator"
SWALLOWED = (
    "Quoted values that contain lines like rows: {count:,} (row {places}). If they are rows, close the "
    "quotation mark in the first of them."
)
NO_HEADER = "The first line is read as a row, because it does not look like column names."
ABOVE = "Rows above the table are skipped: {count:,}."

Row = tuple[int, list[str]]


class _UnclosedQuote(Exception):
    pass


@dataclass
class Records:
    """Records of a CSV file, numbered as a spreadsheet shows them, blank ones included.

    A line whose quotation marks do not fit is an issue, and reading continues on the next line.
    `swallowed` are records with a quoted value that contains lines that look like rows.
    """

    separator: str
    issues: RowErrors
    width: int = 0
    swallowed: list[int] = field(default_factory=list)

    def of(self, lines: Iterable[str]) -> Iterator[Row]:
        """Yield (number, values) for each record that is not blank."""
        following, again, held = iter(lines), deque[str](), list[str]()

        def feed() -> Iterator[str]:
            while (line := again.popleft() if again else next(following, None)) is not None:
                held.append(line)
                if len(held) > QUOTE_LINES + 1:
                    raise _UnclosedQuote
                yield f"{line}\n"

        number = 0
        reader = self._reader(feed())
        while True:
            held.clear()
            number += 1
            try:
                values = next(reader)
            except StopIteration:
                return
            except (csv.Error, _UnclosedQuote) as error:
                unclosed = isinstance(error, _UnclosedQuote) or "end of data" in str(error) or len(held) > 1
                self.issues.add(number, *(UNCLOSED if unclosed else AFTER_CLOSING))
                again.extendleft(reversed(held[1:]))
                reader = self._reader(feed())
                continue
            if any(line.strip() for line in held):
                inside = held[1:-1]
                if len(inside) > 1 and all(one.count(self.separator) == self.width - 1 for one in inside):
                    self.swallowed.append(number)
                yield number, values

    def _reader(self, lines: Iterator[str]) -> Iterator[list[str]]:
        spaced = self.separator != " "
        return csv.reader(lines, delimiter=self.separator, strict=True, skipinitialspace=spaced)

    def notes(self) -> list[str]:
        if not self.swallowed:
            return []
        places = ", ".join(f"{one:,}" for one in self.swallowed[:NAMED])
        return [SWALLOWED.format(count=len(self.swallowed), places=places)]


def read_delimited(path: Path, limits: Limits, progress: Progress) -> Source:
    """Read a CSV or TSV file."""
    text = TextFile(path, limits.cell_characters * 8, RowErrors(), progress)
    given = text.lines()
    first = next(given, "")
    said = SAYS_SEPARATOR.fullmatch(first)
    sample = [*([] if said else [first]), *islice(given, SAMPLED)]
    if not any(one.strip() for one in sample):
        raise DataRefused(f"“{path.name}” is empty. Upload a file with a header and rows.")
    separator = said[1] if said else _separator(sample)
    looked_at = list(islice(Records(separator, RowErrors()).of(sample), HEAD_ROWS))
    if not looked_at:
        raise DataRefused("No line can be read as a row. Upload a CSV file with a header and rows.")
    table = find_table(looked_at, limits)
    records = Records(separator, text.issues, len(table.names))

    def read() -> Iterator[pa.RecordBatch]:
        rows = table.fitted(records.of(chain(sample, given)), text.issues, pad=False)
        yield from row_batches(source, short_values(source, rows, limits), limits)
        source.notes[:0] = [*text.notes(), *records.notes()]

    named = None if separator == NONE else SEPARATORS.get(separator, f"“{separator}”")
    source = Source("CSV", "text", table.names, read, NAMES[text.encoding], named, table.notes(), text.issues)
    return source


def _separator(sample: Sequence[str]) -> str:
    """Return the separator by which most lines have the same number of values; `NONE` if undecided.

    Lines without a separator above the table are ignored if all below them are regular.
    """
    best, chosen = 0.0, NONE
    for separator in SEPARATORS:
        every = [len(values) for _, values in Records(separator, RowErrors()).of(sample)]
        widths = list(dropwhile(lambda width: width == 1, every))
        if not widths:
            continue
        regular = max(widths.count(widths[0]), Counter(widths).most_common(1)[0][1] / 2) / len(widths)
        if len(widths) < len(every):
            regular *= (regular >= REGULAR and len(widths) >= MIN_BELOW_TITLE) / 2
        if regular > best:
            best, chosen = regular, separator
    return chosen


# Tables of rows, also of spreadsheets


@dataclass(frozen=True)
class Table:
    """Column names, and the number of the row after which data begins; `is_named`: that row has the names."""

    names: tuple[str, ...]
    begins_after: int
    is_named: bool
    above: int

    def notes(self) -> list[str]:
        above = [ABOVE.format(count=self.above)] if self.above else []
        return above if self.is_named else [*above, NO_HEADER]

    def fitted(
        self, rows: Iterable[tuple[int, Sequence[str | None]]], issues: RowErrors, *, pad: bool
    ) -> Iterator[tuple[int, list[str | None]]]:
        """Yield the rows of the table, each as wide as the header; `pad` adds missing values."""
        width = len(self.names)
        for number, values in rows:
            if number <= self.begins_after:
                continue
            if any(values[width:]):
                issues.add(number, *TOO_MANY)
            elif len(values) < width and not pad:
                issues.add(number, *TOO_FEW, self.names[len(values)])
            else:
                yield number, [one or None for one in values[:width]] + [None] * (width - len(values))


def find_table(
    rows: Sequence[tuple[int, Sequence[str | None]]], limits: Limits, *, fill: bool = False
) -> Table:
    """Find the header among the first rows: the first that is half as wide as the widest.

    `fill` gives a column without a name the one to its left, as a merged cell is written.

    Raises:
        DataRefused: it has too many columns.
    """
    widest = max(_width(values) for _, values in rows)
    place = next(
        place
        for place, (_, values) in enumerate(rows)
        if 2 * _width(values) >= widest and (len(values) > 1 or widest == 1)
    )
    number, head = rows[place]
    others = [values for _, values in rows[place + 1 :]]
    usual = sorted(map(len, others))[len(others) // 2] if others else 0
    given = [(one or "").strip() for one in [*head, *[None] * (usual - len(head))]]
    if len(given) > limits.columns:
        raise DataRefused(
            f"It has {len(given):,} columns; the limit is {limits.columns}. Remove some of them."
        )
    for at in range(1, len(given)) if fill else ():
        given[at] = given[at] or given[at - 1]
    columns = [[row[at] for row in others if at < len(row)] for at in range(len(given))]
    is_named = any(given) and all(
        _can_name(name, column) if name else at == 0 or not any(column)  # pandas' index has no name
        for at, (name, column) in enumerate(zip(given, columns, strict=True))
    )
    above = rows[place][0] - rows[0][0] if place else 0
    return Table(
        distinct_names(given if is_named else [""] * len(given)), number if is_named else number - 1,
        is_named, above,
    )  # fmt: skip


def _width(values: Sequence[str | None]) -> int:
    return sum(bool(one) for one in values)


def _can_name(name: str, column: Sequence[str | None]) -> bool:
    """Return whether a value of the first row can name its column."""
    values = [one for one in column if one]
    is_data = name in values or (_is_number(name) and (not values or any(map(_is_number, values))))
    return len(name) <= LONGEST_NAME and not is_data


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def escaped_formula(cell: str) -> str:
    """Return a CSV cell with an apostrophe before what a spreadsheet would calculate. Numbers stay."""
    if not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell
    with suppress(ValueError):
        float(cell)
        return cell
    return f"'{cell}"
