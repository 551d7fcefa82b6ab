"""CSV and TSV: each line is of a record, or is named as left out; DuckDB finds the separator and the head."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, dropwhile, islice
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from cdvft_app.data.lines import NAMED, NAMES, Lines
from cdvft_app.data.records import QUOTE_LINES, SAYS_SEPARATOR, Line, Records
from cdvft_app.data.row_errors import RowErrors
from cdvft_app.data.source import DataRefused, Limits, Source, distinct_names, row_batches
from cdvft_app.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa


SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
HEAD_LINES = 20  # among which a name must not come again
LONGEST_NAME = 60  # of a column; a longer first line is a row
SAMPLE = 1_000_000  # characters by which the separator is found


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
    said = SAYS_SEPARATOR.fullmatch(sample[0][1]) if sample else None
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
        is_marked=lines.encoding != "utf-8",
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
    rows = list(islice(Records(separator, limits.cell_characters, RowErrors()).of(sample), HEAD_LINES))
    if not rows:
        raise DataRefused("No line of it can be read as a row. Give a CSV file with a head and rows.")
    (at, first), *others = rows
    if empty := _empty(first, [row for _, row in others]):  # DuckDB takes such a head for a row
        table = ([one for place, one in enumerate(row) if place not in empty] for _, row in rows)
        has_head = _sniffed([(0, _line(row, separator)) for row in table], separator, work, limits)[1]
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
    # pandas writes its index first, without a name; spreadsheets write columns that hold nothing.
    empty = _empty(first, others)
    head = [name for place, name in enumerate(first) if place not in empty]
    is_named = all(head[1:] or head) and all(len(name) <= LONGEST_NAME for name in first)
    named = has_head and is_named and not again
    return distinct_names(first if named else [""] * len(first)), named


def _empty(first: Sequence[str], others: Sequence[Sequence[str | None]]) -> set[int]:
    """Return the places of columns that have neither a name nor a value so far."""
    rows = (first, *others)
    return {place for place in range(len(first)) if not any(any(row[place : place + 1]) for row in rows)}


def _line(row: Sequence[str], separator: str) -> str:
    doubled = (value.replace("\n", " ").replace('"', '""') for value in row)
    return separator.join(f'"{value}"' for value in doubled)


def _sniffed(sample: Sequence[Line], said: str | None, work: Path, limits: Limits) -> tuple[str, bool]:
    """Return the separator, and whether there is a head, as DuckDB finds them."""
    import duckdb

    # Quotation marks that do not fit mislead DuckDB: it gets only what can be read, whatever separates.
    fitting = Records(said or "".join(SEPARATORS), limits.cell_characters, RowErrors()).of(sample)
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
    records = Records(dialect.separator, limits.cell_characters, lines.faults, dialect.names)
    rows = (
        (held[0][0], [value or None for value in values], None)
        for held, values in records.of(given)
        if held[0][0] != dialect.head
    )
    yield from row_batches(source, rows, limits)
    source.notes[:0] = [*lines.notes(), *_running_on(records)]


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
