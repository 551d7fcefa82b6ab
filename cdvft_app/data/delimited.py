"""CSV and TSV, by DuckDB: it finds the separator and the lines that are not like the others."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdvft_app.catalog.own import ROW
from cdvft_app.data.encodings import NAMES
from cdvft_app.data.faults import DataRefused, Faults
from cdvft_app.data.limits import Limits
from cdvft_app.data.lines import Lines, write_records
from cdvft_app.data.source import BATCH, Progress, Source

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
HEAD_LINES = 20  # among which a name must not come again
LONGEST_NAME = 60  # of a column; a longer first line is a row
# By DuckDB's name of what is wrong with a line.
_WRONG = {
    "TOO MANY COLUMNS": (
        "it has more values than the head has columns",
        "put values with a separator in quotes",
    ),
    "MISSING COLUMNS": ("it has fewer values than the head has columns", "give the missing ones"),
    "UNQUOTED VALUE": ("text follows a closing quotation mark", "write quotation marks inside a value twice"),
    "INVALID ENCODING": ("it has bytes that are no text", "save the file as UTF-8"),
    "LINE SIZE OVER MAXIMUM": ("it is too long", "shorten it"),
}


@dataclass(frozen=True)
class _Dialect:
    """How a file of records is to be read; `named`: the first line has the names of the columns."""

    file: Path
    separator: str
    quoted: bool
    names: tuple[str, ...]
    named: bool

    def query(self, what: str) -> tuple[str, list[str]]:
        """A SELECT of `what`, and its values."""
        columns = "{" + ", ".join(f"{_text(name)}: 'VARCHAR'" for name in self.names) + "}"
        quote = '"' if self.quoted else ""
        return (
            f"SELECT {what} FROM read_csv(?, auto_detect = false, header = {str(self.named).lower()},"
            f" columns = {columns}, delim = ?, quote = ?, escape = ?, new_line = '\\n', store_rejects = true,"
            " parallel = false)",
            [str(self.file), self.separator, quote, quote],
        )


def read_delimited(path: Path, work: Path, limits: Limits, progress: Progress) -> Source:
    """A CSV or TSV file, checked; `work` is a folder for the file as DuckDB reads it."""
    faults = Faults()
    lines = Lines(path, limits, progress, faults)
    clean = work / "clean.csv"
    begins, quoted = write_records(lines, clean)
    if not begins:
        raise DataRefused(f"“{path.name}” is empty. Give a file with a head and rows.")
    dialect = _dialect(clean, quoted, limits)
    source = Source(
        "CSV",
        "text",
        dialect.names,
        lambda: _batches(dialect, begins, faults, limits),
        NAMES[lines.encoding],
        SEPARATORS[dialect.separator],
        faults=faults,
    )
    if lines.mixed:
        many = len(lines.mixed) > 1
        where = ", ".join(f"{number:,}" for number in lines.mixed[:5]) + (", …" if lines.mixed[5:] else "")
        source.notes.append(
            f"{len(lines.mixed):,} line{'s' if many else ''} ({where}) {'are' if many else 'is'} not UTF-8 "
            "and read as Windows-1252; look whether the letters are right."
        )
    if not dialect.named:
        source.notes.append("The first line is read as a row: it does not look like names of columns.")
    return source


def _connection() -> duckdb.DuckDBPyConnection:
    import duckdb

    settings: dict[str, Any] = {"threads": 1, "memory_limit": "1GB", "autoinstall_known_extensions": False}
    return duckdb.connect(config=settings)


def _dialect(clean: Path, quoted: bool, limits: Limits) -> _Dialect:
    import duckdb

    quote = ", quote = '\"', escape = '\"'" if quoted else ""
    query = (
        f"SELECT Delimiter, HasHeader FROM sniff_csv(?, ignore_errors = true, store_rejects = true{quote})"
    )
    found = None
    with _connection() as connection, suppress(duckdb.Error):  # a file of one long line, for one
        found = connection.execute(query, [str(clean)]).fetchone()
    with clean.open(encoding="utf-8", newline="") as file:
        first_line = file.readline()
        file.seek(0)
        separator, head = found if found and found[0] in SEPARATORS else (None, True)
        separator = separator or max(SEPARATORS, key=first_line.count)
        csv.field_size_limit(limits.cell_characters * 10)
        reader = csv.reader(
            file, delimiter=separator, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        )
        with suppress(csv.Error):
            rows = list(islice(reader, HEAD_LINES))
    if not rows:
        raise DataRefused("No line of it can be read as a row. Give a CSV file with a head and rows.")
    first, *others = rows
    first = [value.strip() for value in first]
    if len(first) > limits.columns:
        raise DataRefused(f"It has {len(first):,} columns; at most {limits.columns} are taken. Drop some.")
    again = any(
        name in {row[place] for row in others if place < len(row)} for place, name in enumerate(first)
    )
    named = bool(head) and all(name and len(name) <= LONGEST_NAME for name in first) and not again
    names: list[str] = []
    for place, name in enumerate(first, 1):
        wanted = name if named else f"column {place}"
        taken = {one.lower() for one in (*names, ROW)}
        names.append(wanted if wanted.lower() not in taken else f"{wanted} {place}")
    return _Dialect(clean, separator, quoted, tuple(names), named)


def _batches(
    dialect: _Dialect, begins: array[int], faults: Faults, limits: Limits
) -> Iterator[pa.RecordBatch]:
    import numpy as np
    import pyarrow as pa

    with _connection() as connection:
        # Once for the lines that are rejected, which are known at the end, and once for the others.
        every = " + ".join(f'count("{name.replace(chr(34), chr(34) * 2)}")' for name in dialect.names)
        connection.execute(*dialect.query(every)).fetchall()
        rejected = _rejected(connection, begins, faults)
        rows = np.asarray(begins, dtype=np.int64)[1 if dialect.named else 0 :]
        rows = rows[~np.isin(rows, rejected)]
        place = 0
        query, values = dialect.query("*")
        for batch in connection.sql(query, params=values).to_arrow_reader(BATCH):
            own = pa.array(rows[place : place + len(batch)], pa.int64())
            place += len(batch)
            rows_read = pa.RecordBatch.from_arrays([own, *batch.columns], names=[ROW, *dialect.names])
            yield _without_long_values(rows_read, dialect.names, faults, limits)


def _rejected(connection: duckdb.DuckDBPyConnection, begins: array[int], faults: Faults) -> list[int]:
    """The lines of the file at which rejected records begin."""
    import numpy as np

    query = (
        "SELECT line, first(error_type), first(column_name) FROM reject_errors GROUP BY line ORDER BY line"
    )
    found = connection.execute(query).fetchall()
    places = np.asarray(begins)
    rejected = []
    for line, error, column in found:
        number = int(places[line - 1]) if line <= len(places) else int(line)
        what, advice = _WRONG.get(error, (error.lower(), "look at the line"))
        faults.add(number, what, advice, column if error == "MISSING COLUMNS" and column else "")
        rejected.append(number)
    return rejected


def _without_long_values(
    batch: pa.RecordBatch, names: Sequence[str], faults: Faults, limits: Limits
) -> pa.RecordBatch:
    """Without rows of which a value is too long."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for name in names:
        lengths = pc.utf8_length(batch.column(batch.schema.get_field_index(name)))
        if (pc.max(lengths).as_py() or 0) <= limits.cell_characters:
            continue
        over = pc.fill_null(pc.greater(lengths, pa.scalar(limits.cell_characters, lengths.type)), False)
        for row in batch.column(0).filter(over).to_pylist():
            faults.add(row, f"it has more than {limits.cell_characters:,} characters", "shorten it", name)
        batch = batch.filter(pc.invert(over))
    return batch


def _text(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
