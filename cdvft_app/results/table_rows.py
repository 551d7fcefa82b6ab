"""Rows of a file in, rows of a file out, one after the other; what an exported apply.py needs beside it.

Of the app it imports how records are read: exports have both beside them as they are.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import math
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import IO, Any

from cdvft_app.data.records import SAYS_SEPARATOR, Records, object_of
from cdvft_app.data.row_errors import RowErrors

SEPARATORS = ",;\t|"
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
NOT_READ = (".ods", ".xls", ".zip")
ALLOWED = "a file of rows: CSV, TSV, JSONL, JSON, Parquet or .xlsx"
WRITTEN = (".csv", ".tsv", ".jsonl", ".xlsx")
SAMPLE = 1 << 16
MAX_ABOVE = 20  # rows of a sheet among which its head is looked for
DAMAGE = (OSError, EOFError, ValueError, KeyError, zlib.error, zipfile.BadZipFile)


class NoAnswer(Exception):
    """A row cannot be answered; the text is a sentence or more that says why, and what to do."""


NumberedRow = tuple[int, dict[str, Any]]
"""The number by which the app names a row, too: of a line or of a sheet's row, else from 1; and the row."""


def read(path: Path, wanted: Sequence[str], faults: RowErrors) -> Iterator[NumberedRow]:
    """Yield the rows of a CSV, TSV, JSONL, JSON, Parquet or .xlsx file; damaged ones go to the faults.

    CSV, TSV, JSONL and JSON may be packed by gzip. Of an .xlsx those below the first row, of any sheet, that
    names the `wanted` columns, else of the first sheet.

    Raises:
        SystemExit: it cannot be read; says why, and what to give.
    """
    kind = _kind(path)
    if path.is_dir() or kind in PICTURES:
        what = "a folder" if path.is_dir() else "a picture"
        raise SystemExit(f"“{path.name}” is {what}, and texts are answered here. Give {ALLOWED}.")
    if kind in NOT_READ:
        raise SystemExit(f"{path.name}: {kind} is not read here. Save it as .xlsx or as CSV.")
    count = 0
    try:
        for row in _rows(path, kind, wanted, faults):
            yield row
            count += 1
    except DAMAGE as error:
        why = str(getattr(error, "strerror", None) or error).partition("\n")[0].rstrip(".")
        if count:
            raise SystemExit(
                f"“{path}” cannot be read beyond row {count:,}: {why}. Mend or remove what comes after "
                "that row."
            ) from None
        raise SystemExit(f"“{path}” cannot be read: {why}. Give {ALLOWED}.") from None


def _rows(path: Path, kind: str, wanted: Sequence[str], faults: RowErrors) -> Iterator[NumberedRow]:
    if kind in (".jsonl", ".ndjson"):
        with _opened(path) as file:
            yield from _objects(file, faults)
    elif kind == ".json":
        with _opened(path) as file:
            held = json.loads(file.read())
        if not isinstance(held, list):
            raise ValueError(
                'it is no list of JSON objects, such as [{"text": "What a film"}, ...]; name a file with one '
                "object in each line .jsonl"
            )
        yield from _objects(map(json.dumps, held), faults)
    elif kind == ".parquet":
        parquet = _module("pyarrow.parquet", path)
        batches = parquet.ParquetFile(path).iter_batches(1000)
        yield from enumerate((row for batch in batches for row in batch.to_pylist()), 1)
    elif kind == ".xlsx":
        book = _module("openpyxl", path).load_workbook(path, read_only=True, data_only=True)
        head, rows = _below_the_head(book, {name.strip().casefold() for name in wanted})
        yield from ((number, dict(zip(head, row, strict=False))) for number, row in rows)
    else:
        with _opened(path) as file:
            filled = (line for line in _lines(file) if line[1].strip())
            number, first = next(filled, (0, ""))
            said = SAYS_SEPARATOR.fullmatch(first)
            separator = said[1] if said else max(SEPARATORS, key=first.count)
            file.seek(0)
            given = (line for line in _lines(file) if not said or line[0] > number)
            held, names = next(Records(separator, math.inf, RowErrors()).of(given), ([(0, "")], []))
            file.seek(0)
            below = (line for line in _lines(file) if line[0] > held[-1][0])
            for lines, values in Records(separator, math.inf, faults, names).of(below):
                yield lines[0][0], dict(zip(names, values, strict=True))


def _lines(file: IO[str]) -> Iterator[tuple[int, str]]:
    return ((number, line.rstrip("\r\n")) for number, line in enumerate(file, 1))


def _objects(lines: Iterable[str], faults: RowErrors) -> Iterator[NumberedRow]:
    for number, line in enumerate(lines, 1):
        found = object_of(line) if line.strip() else None
        if isinstance(found, dict):
            yield number, found
        elif found:
            faults.add(number, *found)


def _kind(path: Path) -> str:
    """Return the ending without that of gzip: ".csv" for rows.csv and for rows.csv.gz."""
    return Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()


def _unpacked(path: Path) -> gzip.GzipFile | io.BufferedReader:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def _opened(path: Path) -> IO[str]:
    encoding = _encoding(path)  # by the file's beginning: what follows may be in another
    errors = WINDOWS if encoding == "utf-8-sig" else "strict"
    return io.TextIOWrapper(_unpacked(path), encoding=encoding, errors=errors, newline="")


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


WINDOWS = "as Windows-1252"
codecs.register_error(WINDOWS, _as_windows_1252)


def _below_the_head(book: Any, wanted: set[str]) -> tuple[list[str], Iterator[tuple[int, Sequence[Any]]]]:
    for sheet in book.worksheets:
        rows = enumerate(sheet.iter_rows(values_only=True), 1)
        for _, row in islice(rows, MAX_ABOVE):
            names = [str(one) for one in row]
            if wanted <= {name.strip().casefold() for name in names}:
                return names, rows
    rows = enumerate(book.worksheets[0].iter_rows(values_only=True), 1)
    return [str(one) for one in next(rows, (0, ()))[1]], rows


def _module(name: str, path: Path) -> Any:
    """Import a package that only this kind of file needs."""
    try:
        return import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise SystemExit(f"{path.name} needs a package that is not here: pip install {package}") from None


def _encoding(path: Path) -> str:
    """Return UTF-8 or UTF-16, by what the file holds, else Windows-1252."""
    with _unpacked(path) as file:
        start = file.read(SAMPLE)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        return "utf-8-sig" if error.start > len(start) - 4 else "cp1252"
    return "utf-8-sig"


def require_writable(path: Path, given: Path) -> None:
    """Refuse, by SystemExit with a sentence, a file that cannot be written, or is the one that was given."""
    if path.suffix.lower() not in WRITTEN:
        raise SystemExit(
            f"“{path}” cannot be written: its ending says no format that is. Give one of "
            f"{', '.join(WRITTEN)}."
        )
    if not path.parent.is_dir():
        raise SystemExit(f"“{path}” cannot be written: there is no such folder. Make it, or name another.")
    if path.exists() and given.exists() and path.samefile(given):
        raise SystemExit(f"“{path}” is the file that is answered. Give the answers another name.")


def write(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    """Write rows as CSV, TSV, JSONL or .xlsx, by the ending; how many there were. Texts are no formulas.

    The file is whole or not there, and one that was there before stays until it is.

    Raises:
        SystemExit: it cannot be written; says why, and what to do.
    """
    write_rows = _write_sheet if path.suffix.lower() == ".xlsx" else _write_lines
    try:
        with tempfile.TemporaryDirectory(prefix=".answers-", dir=path.parent) as beside:
            made = Path(beside) / path.name
            count = write_rows(made, rows)
            made.replace(path)
        return count
    except OSError as error:
        why = error.strerror or error
        raise SystemExit(f"“{path}” cannot be written: {why}. Give another place.") from None


def _write_sheet(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    openpyxl = _module("openpyxl", path)
    book = openpyxl.Workbook(write_only=True)
    sheet, head, count = book.create_sheet(), list[str](), 0
    try:
        for count, row in enumerate(rows, 1):
            if not head:
                head = [*row]
                sheet.append(head)
            sheet.append(
                [_cell(openpyxl, sheet, value, count) for value in _under(head, row, count).values()]
            )
    except BaseException:
        sheet.close()  # left open, it would print tracebacks of its own at the end
        raise
    book.save(path)
    return count


def _cell(openpyxl: Any, sheet: Any, value: Any, number: int) -> Any:
    try:
        cell = openpyxl.cell.WriteOnlyCell(sheet, value)
    except (ValueError, openpyxl.utils.exceptions.IllegalCharacterError):
        raise SystemExit(
            f"Row {number:,} holds what no .xlsx can: {str(value)[:80]!r}. Give the answers a name that "
            "ends in .jsonl."
        ) from None
    if isinstance(value, str):
        cell.data_type = "s"
    return cell


def _write_lines(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    kind, count = path.suffix.lower(), 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer: Any = None
        for count, row in enumerate(rows, 1):
            if kind == ".jsonl":
                file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
                continue
            if writer is None:
                separator = "\t" if kind == ".tsv" else ","
                writer = csv.DictWriter(file, [*row], delimiter=separator, lineterminator="\n")
                writer.writeheader()
            writer.writerow(_under(writer.fieldnames, row, count))
    return count


def _under(head: Sequence[str], row: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a row's values under the first row's names."""
    if more := [name for name in row if name not in head]:
        raise SystemExit(
            f"Row {number:,} has “{more[0]}”, which the first row does not have. Give the answers a name "
            "that ends in .jsonl."
        )
    return {name: row.get(name) for name in head}
