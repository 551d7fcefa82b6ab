"""CSV and TSV: each line is of a record, or is named as left out; DuckDB finds the separator and the head.

A value may stand in quotation marks, with spaces around them, and then holds separators, line ends, and
quotation marks written twice (RFC 4180). In other values a quotation mark is a letter like others.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, dropwhile, islice
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, Literal

from cdvft_app.data.lines import NAMES, Lines
from cdvft_app.data.source import DataRefused, Limits, RowErrors, Source, distinct_names, row_batches
from cdvft_app.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa


State = Literal["whole", "open", "broken", "doubtful"]
_INSIDE = re.compile(r'[^"]*(?:""[^"]*)*')


class Marks:
    """Patterns for quotation marks by where they stand between the separators."""

    def __init__(self, separators: str) -> None:
        by, space = f"[{re.escape(separators)}]", "" if separators == " " else " *"
        self.value = re.compile(f"[^{re.escape(separators)}]*")
        self.opening = re.compile(f'{space}"')
        self.closing = re.compile(f'"{space}({by}|$)')
        # One that opens a value, or one that would close a value that was opened before.
        self.outer = re.compile(f'(?P<opens>(?:^|{by}){space}")|"{space}(?:{by}|$)')


class Record:
    """A record that is read line by line; `values` are those that are complete so far."""

    def __init__(self, marks: Marks) -> None:
        self.values: list[str] = []
        self._marks = marks
        self._open: list[str] = []  # the lines of a value in quotes
        self._lines = 0

    def take(self, line: str) -> State:
        """Take one more line and return the record's state.

        It is doubtful where a value beside one of several lines has a quotation mark: most likely one that
        should open a value closed one that was opened by mistake.
        """
        doubtful, place = False, 0
        self._lines += 1
        while place <= len(line):
            opening = None if self._open else self._marks.opening.match(line, place)
            if not self._open and not opening:
                value = self._marks.value.match(line, place)[0]  # type: ignore[index]  # it may be empty
                self.values.append(value)
                doubtful = doubtful or (self._lines > 1 and '"' in value)
                place += len(value) + 1
                continue
            inside = _INSIDE.match(line, opening.end() if opening else place)
            assert inside  # it may be empty
            self._open.append(inside[0])
            if inside.end() == len(line):
                return "open"
            closing = self._marks.closing.match(line, inside.end())
            if not closing:
                return "broken"
            self.values.append("\n".join(self._open).replace('""', '"'))
            self._open = []
            place = closing.end() + (not closing[1])
        return "doubtful" if doubtful else "whole"


QUOTE_LINES = 50  # over so many lines a quoted value may go; one that goes on is taken for never closed
Line = tuple[int, str]
Fault = tuple[str, str, str]  # what is wrong, what to do, the column
_AFTER_CLOSING = "text follows a closing quotation mark", "write quotation marks inside a value twice"
_NEVER_CLOSED = "a quotation mark is opened and never closed", "close it, or remove it"
_GOES_ON = (
    "it seems to go on with a value that begins in a row above and cannot be read",
    "mend the quotation marks of that row",
)


@dataclass
class Records:
    """How records are read. Each letter of `separators` separates; `names` are those of the columns, none
    while they are not known.

    Every line that is not blank is of a record that is given, or is a fault. `running_on` are the first and
    the last line of each value over several lines of which those between look like rows of their own.
    """

    separators: str
    limits: Limits
    faults: RowErrors
    names: Sequence[str] = ()
    running_on: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._marks = Marks(self.separators)

    def of(self, lines: Iterable[Line]) -> Iterator[tuple[list[Line], list[str]]]:
        """Yield each record that can be read: its lines, and its values."""
        waiting, columns, most = _Waiting(iter(lines)), len(self.names), self.limits.cell_characters
        for line in waiting:
            _, text = line
            if not text.strip():
                continue
            quoted = '"' in text
            if not quoted and len(values := text.split(self.separators)) == columns and len(text) <= most:
                yield [line], values  # nearly every line of most files
                continue
            held, record = [line], Record(self._marks)
            state = record.take(text)
            while state == "open" and len(held) <= QUOTE_LINES and (more := next(waiting, None)):
                held.append(more)
                state = record.take(more[1])
            fault = self._of_quotes(state, record.values, held, waiting)
            fault = fault or self._of_values(record.values, held)
            if fault:
                self._leave_out(held, fault)
            else:
                self._look_between(held)
                yield held, record.values[: columns or None]

    def _leave_out(self, held: Sequence[Line], fault: Fault) -> None:
        self.faults.add(held[0][0], *fault)
        for number, text in held[1:]:
            if text.strip():
                self.faults.add(number, *_GOES_ON)

    def _of_quotes(
        self, state: State, values: Sequence[str], held: list[Line], waiting: _Waiting
    ) -> Fault | None:
        """Return the fault of the quotation marks, or None. `held` keeps the record's lines alone."""
        if state == "whole":
            return None
        column = self.names[len(values)] if len(values) < len(self.names) else ""
        if state == "doubtful":
            return (*_AFTER_CLOSING, column)
        several = len(held) > 1
        end = self._end(held, waiting) if state == "broken" else 1
        waiting.again(held[end:])
        del held[end:]
        never = state == "open" or (several and end == 1)
        return (*(_NEVER_CLOSED if never else _AFTER_CLOSING), column)

    def _end(self, held: list[Line], waiting: _Waiting) -> int:
        """Return how many lines the record has whose first one is at fault; lines may be added to `held`.

        It goes on to a line with a mark that closes a value and none before that opens one, if there is an
        even number of marks in all. Where a value is opened before, the fault was in the first line alone.
        """
        marks = held[0][1].count('"')
        if marks % 2 == 0:
            return 1
        for place in range(1, QUOTE_LINES + 1):
            if place == len(held):
                line = next(waiting, None)
                if not line:
                    break
                held.append(line)
            text = held[place][1]
            marks += text.count('"')
            mark = self._marks.outer.search(text)
            if mark and mark["opens"]:
                break
            if mark and marks % 2 == 0:
                return place + 1
        return 1

    def _of_values(self, values: Sequence[str], held: Sequence[Line]) -> Fault | None:
        names, most = self.names, self.limits.cell_characters
        if not names:
            return None
        if len(values) < len(names):
            what = "it has fewer values than the head has columns"
            return what, "give the missing ones", names[len(values)]
        if any(values[len(names) :]):  # separators at the end alone do no harm
            what = "it has more values than the head has columns"
            return what, "put values with a separator in quotes", ""
        if sum(len(text) for _, text in held) > most:
            for name, value in zip(names, values, strict=False):
                if len(value) > most:
                    return f"it has more than {most:,} characters", "shorten it", name
        return None

    def _look_between(self, held: Sequence[Line]) -> None:
        between, most = held[1:-1], len(self.names) - 1
        if len(between) > 1 and all(text.count(self.separators) == most for _, text in between):
            self.running_on.append((held[0][0], held[-1][0]))


class _Waiting:
    """An iterator of lines to which lines can be given back."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._again: deque[Line] = deque()

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        return self._again.popleft() if self._again else next(self._lines)

    def again(self, lines: Sequence[Line]) -> None:
        self._again.extendleft(reversed(lines))


SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
HEAD_LINES = 20  # among which a name must not come again
LONGEST_NAME = 60  # of a column; a longer first line is a row
SAMPLE = 1_000_000  # characters by which the separator is found
NAMED = 5  # places in a note
_SAYS_SEPARATOR = re.compile(r'"?sep=([^"])"? *', re.IGNORECASE)  # Excel's own first line


@dataclass(frozen=True)
class _Dialect:
    """The dialect of a file; `head` is the number of the line with the columns' names, if there is one."""

    separator: str
    names: tuple[str, ...]
    head: int | None


def read_delimited(path: Path, work: Path, limits: Limits, progress: Progress) -> Source:
    """Read and check a CSV or TSV file; `work` is a folder for the part of it that DuckDB looks at."""
    lines = Lines(path, limits, progress, RowErrors())
    given = dropwhile(_is_blank, lines)
    sample = list(_sample(given))
    said = _SAYS_SEPARATOR.fullmatch(sample[0][1]) if sample else None
    sample = list(dropwhile(_is_blank, sample[1:])) if said else sample
    if not sample:
        raise DataRefused(f"“{path.name}” is empty. Give a file with a head and rows.")
    dialect = _dialect(sample, said[1] if said else None, work, limits)
    source = Source(
        "CSV",
        "text",
        dialect.names,
        lambda: _batches(source, dialect, chain(sample, given), lines, limits),
        NAMES[lines.encoding],
        SEPARATORS.get(dialect.separator, f"“{dialect.separator}”"),
        faults=lines.faults,
    )
    if dialect.head is None:
        source.notes.append("The first line is read as a row: it does not look like names of columns.")
    return source


def escaped_formula(cell: str) -> str:
    """Return a cell for a CSV, with an apostrophe before what a spreadsheet would calculate.

    A number stays as it is, its sign included: a spreadsheet reads it as the same number.
    """
    if not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell
    with suppress(ValueError):
        float(cell)
        return cell
    return f"'{cell}"


def _is_blank(line: Line) -> bool:
    return not line[1].strip()


def _sample(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield the first lines: as many as DuckDB needs to find the dialect, and whole first records."""
    size = 0
    for count, line in enumerate(lines, 1):
        yield line
        size += len(line[1])
        if size > SAMPLE and count > HEAD_LINES + QUOTE_LINES:
            return


def _dialect(sample: Sequence[Line], said: str | None, work: Path, limits: Limits) -> _Dialect:
    separator, has_head = _sniffed(sample, said, work, limits)
    rows = list(islice(Records(separator, limits, RowErrors()).of(sample), HEAD_LINES))
    if not rows:
        raise DataRefused("No line of it can be read as a row. Give a CSV file with a head and rows.")
    (at, first), *others = rows
    names, named = column_names(first, [row for _, row in others], has_head, limits)
    return _Dialect(separator, names, at[0][0] if named else None)


def column_names(
    first: Sequence[str], others: Sequence[Sequence[str | None]], has_head: bool, limits: Limits
) -> tuple[tuple[str, ...], bool]:
    """Return names of the columns, each another one, and whether the first row gives them.

    Raises:
        DataRefused: there are too many.
    """
    first = [value.strip() for value in first]
    if len(first) > limits.columns:
        raise DataRefused(f"It has {len(first):,} columns; at most {limits.columns} are taken. Drop some.")
    again = any(
        name and name in {row[place] for row in others if place < len(row)}
        for place, name in enumerate(first)
    )
    # pandas writes its index first, without a name.
    is_named = all(first[1:] or first) and all(len(name) <= LONGEST_NAME for name in first)
    named = has_head and is_named and not again
    return distinct_names(first if named else [""] * len(first)), named


def _sniffed(sample: Sequence[Line], said: str | None, work: Path, limits: Limits) -> tuple[str, bool]:
    """Return the separator, and whether there is a head, as DuckDB finds them."""
    import duckdb

    # Quotation marks that do not fit mislead DuckDB: it gets only what can be read, whatever separates.
    fitting = Records(said or "".join(SEPARATORS), limits, RowErrors()).of(sample)
    file = Path(mkdtemp(dir=work)) / "sample.csv"  # the data themselves may lie in `work` under any name
    with file.open("w", encoding="utf-8", newline="\n") as opened:
        opened.writelines(text + "\n" for held, _ in fitting for _, text in held)
    query = (
        "SELECT Delimiter, HasHeader FROM sniff_csv(?, ignore_errors = true, store_rejects = true,"
        f" quote = '\"', escape = '\"'{', delim = ?' if said else ''})"
    )
    settings: dict[str, Any] = {"threads": 1, "memory_limit": "1GB", "autoinstall_known_extensions": False}
    found = None
    with duckdb.connect(config=settings) as connection, suppress(duckdb.Error):  # one long line, for one
        found = connection.execute(query, [str(file), *([said] if said else [])]).fetchone()
    if found and found[0] in {*SEPARATORS, said}:
        return found
    return said or max(SEPARATORS, key=sample[0][1].count), True


def _batches(
    source: Source, dialect: _Dialect, given: Iterable[Line], lines: Lines, limits: Limits
) -> Iterator[pa.RecordBatch]:
    records = Records(dialect.separator, limits, lines.faults, dialect.names)
    rows = (
        (held[0][0], [value or None for value in values], None)
        for held, values in records.of(given)
        if held[0][0] != dialect.head
    )
    yield from row_batches(source, rows, limits)
    source.notes[:0] = [*_mixed(lines), *_running_on(records)]


def _mixed(lines: Lines) -> Iterator[str]:
    if lines.mixed:
        many = len(lines.mixed) > 1
        where = ", ".join(f"{number:,}" for number in lines.mixed[:NAMED])
        where += ", …" if lines.mixed[NAMED:] else ""
        yield (
            f"{len(lines.mixed):,} line{'s' if many else ''} ({where}) {'are' if many else 'is'} not UTF-8 "
            "and read as Windows-1252; look whether the letters are right."
        )


def _running_on(records: Records) -> Iterator[str]:
    found = records.running_on
    if found:
        many = len(found) > 1
        where = ", ".join(f"{first:,} to {last:,}" for first, last in found[:NAMED])
        where += ", …" if found[NAMED:] else ""
        yield (
            f"{len(found):,} value{'s' if many else ''} in quotes run{'' if many else 's'} over lines that "
            f"look like rows of their own (row {where}). If they are rows, close the quotation mark in the "
            "first of them."
        )
