"""Spreadsheets, .xlsx and .ods: the first sheet that has rows, read row by row."""

from __future__ import annotations

import datetime
import zipfile
import zlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdvft_app.data.csv_file import HEAD_LINES, column_names
from cdvft_app.data.source import DataRefused, Limits, Progress, Source, row_batches
from cdvft_app.data.zip_file import require_bounded

if TYPE_CHECKING:
    import pyarrow as pa

SPREADSHEETS = (".xlsx", ".ods")
XLSX_MEMBER, ODS_MEMBER = "xl/workbook.xml", "content.xml"
_TABLE, _OFFICE, _TEXT = (
    f"{{urn:oasis:names:tc:opendocument:xmlns:{name}:1.0}}" for name in ("table", "office", "text")
)
# What openpyxl and the XML parsers raise, who trust what a file says of itself; SyntaxError is theirs, too.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, KeyError, TypeError, AttributeError,
    IndexError, RuntimeError, SyntaxError,
)  # fmt: skip

Row = tuple[int, list[str | None], Sequence[Any]]


def read_spreadsheet(path: Path, limits: Limits, progress: Progress) -> Source:
    """The first sheet with rows; its columns are named by the first row that is as wide as most are."""
    with zipfile.ZipFile(path) as archive:
        require_bounded(archive, limits)
        is_excel = XLSX_MEMBER in archive.NameToInfo
    progress(None, "Opening the spreadsheet")
    sheets = _damaged_is_refused(path, (_excel_sheets if is_excel else _ods_sheets)(path, limits))
    for sheet, rows in sheets:
        given = _damaged_is_refused(path, (row for row in rows if any(row[1])))
        looked_at = list(islice(given, HEAD_LINES))
        if looked_at:
            title = sheet
            break
    else:
        raise DataRefused(f"“{path.name}” has no rows. Give a sheet with a head and rows.")
    widest = max(sum(one is not None for one in values) for _, values, _ in looked_at)
    place = next(
        place
        for place, (_, values, _) in enumerate(looked_at)
        if 2 * sum(one is not None for one in values) >= widest
    )
    (_, head, _), others = looked_at[place], looked_at[place + 1 :]
    first = [value or "" for value in head]
    has_head = bool(others) and not any(_is_number(value) for value in first)
    names, named = column_names(first, [values for _, values, _ in others], has_head, limits)

    def read() -> Iterator[pa.RecordBatch]:
        yield from row_batches(source, _fitting(source, chain(looked_at[place + named :], given)), limits)
        sheets.close()  # which until then holds the file

    source = Source(
        "Excel workbook" if is_excel else "OpenDocument spreadsheet",
        "text",
        names,
        read,
    )
    source.notes.append(f"The sheet “{title}” is read; others, if there are any, are left out.")
    if place:
        above = looked_at[place][0] - 1
        source.notes.append(f"The first {above:,} rows stand above the table and are left out.")
    return source


def _fitting(source: Source, rows: Iterable[Row]) -> Iterator[Row]:
    """Rows as wide as the head; one that is wider is left out."""
    width = len(source.columns)
    for number, values, cells in rows:
        if any(values[width:]):
            source.faults.add(
                number, "it has more values than the head has columns", "name the other columns, too"
            )
            continue
        yield number, values[:width] + [None] * (width - len(values)), cells


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _damaged_is_refused(path: Path, given: Iterator[Any]) -> Generator[Any, None, None]:
    """The same; what a damaged or hostile file makes the parsers raise is a sentence."""
    try:
        yield from given
    except _DAMAGE:
        raise DataRefused(
            f"“{path.name}” cannot be read as a spreadsheet: it is damaged, or has a password. Save it anew "
            "without one, or as “CSV UTF-8”."
        ) from None


def _excel_sheets(path: Path, limits: Limits) -> Iterator[tuple[str, Iterator[Row]]]:
    import openpyxl

    with path.open("rb") as file:  # by its path it would have to be named .xlsx
        book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # which some programs write wrongly
            yield sheet.title, _excel_rows(sheet, limits)


def _excel_rows(sheet: Any, limits: Limits) -> Iterator[Row]:
    for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
        values = [_as_text(one) for one in cells]
        _require_width(values, limits)
        yield number, values, cells


def _as_text(value: Any) -> str | None:
    """What a person sees, but dates as ISO 8601 writes them; a formula is what it last gave."""
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    return str(value)


def _require_width(values: Sequence[str | None], limits: Limits) -> None:
    if any(values[limits.columns :]):
        raise DataRefused(f"It has more than {limits.columns} columns, the most that are taken. Drop some.")


def _ods_sheets(path: Path, limits: Limits) -> Iterator[tuple[str, Iterator[Row]]]:
    from defusedxml.ElementTree import iterparse

    with zipfile.ZipFile(path) as archive, archive.open(ODS_MEMBER) as file:
        events = iterparse(file, events=("start", "end"), forbid_dtd=True)
        for event, element in events:
            if event == "start" and element.tag == f"{_TABLE}table":
                yield element.get(f"{_TABLE}name", ""), _ods_rows(events, element, limits)


def _ods_rows(events: Iterator[tuple[str, Any]], sheet: Any, limits: Limits) -> Iterator[Row]:
    """The rows up to the sheet's end; each element is forgotten once it was read."""
    number = 0
    for event, element in events:
        if event == "end" and element is sheet:
            return
        if event == "end" and element.tag == f"{_TABLE}table-row":
            times = int(element.get(f"{_TABLE}number-rows-repeated", "1"))
            values = _ods_values(element, limits)
            if any(values):
                for more in range(min(times, limits.rows + 1)):
                    yield number + more + 1, list(values), values
            number += times
            element.clear()
            sheet.clear()


def _ods_values(row: Any, limits: Limits) -> list[str | None]:
    values: list[str | None] = []
    for cell in row:
        if cell.tag not in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
            continue
        names = ("value", "date-value", "boolean-value")
        value = next(filter(None, (cell.get(_OFFICE + name) for name in names)), None)
        if value is None:
            value = "\n".join(_said(one) for one in cell.findall(f"{_TEXT}p")) or None
        times = int(cell.get(f"{_TABLE}number-columns-repeated", "1"))
        values += [value] * min(times, limits.columns + 1)
        if len(values) > limits.columns:
            _require_width(values, limits)
            del values[limits.columns :]
    while values and values[-1] is None:
        values.pop()
    return values


def _said(paragraph: Any) -> str:
    """Its text; several spaces are an element of their own."""
    parts = [paragraph.text or ""]
    for one in paragraph:
        is_space = one.tag == f"{_TEXT}s"
        parts += [" " * min(int(one.get(f"{_TEXT}c", "1")), 100) if is_space else _said(one), one.tail or ""]
    return "".join(parts)
