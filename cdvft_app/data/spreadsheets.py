"""Spreadsheets, .xlsx and .ods: the first sheet that holds a table, row by row; and an .ods, written so."""

from __future__ import annotations

import datetime
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdvft_app.data.csv_file import HEAD_LINES, column_names
from cdvft_app.data.source import DataRefused, Limits, Source, row_batches, short_values
from cdvft_app.data.zip_file import require_bounded
from cdvft_app.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa

SPREADSHEETS = (".xlsx", ".ods")
MIN_TABLE = 9  # rows: a head, and the fewest that are learned from
EXCEL, OPEN_DOCUMENT = "Excel workbook", "OpenDocument spreadsheet"
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
    """Read the first sheet that holds a table, or else rows.

    Its columns are named by the first row that is half as wide as the widest; a name above several columns
    names all of them.
    """
    with zipfile.ZipFile(path) as archive:
        require_bounded(archive, limits)
        is_excel = XLSX_MEMBER in archive.NameToInfo
    progress(None, "Opening the spreadsheet")
    opened = _excel_sheets if is_excel else _ods_sheets
    with closing(_damaged_is_refused(path, opened(path, limits))) as sheets:
        wanted = _place_of_table(path, sheets)
    sheets = _damaged_is_refused(path, opened(path, limits))
    title, rows = next(islice(sheets, wanted, None))
    given = _filled(path, rows)
    looked_at = list(islice(given, HEAD_LINES))
    widest = max(_width(values) for _, values, _ in looked_at)
    place = next(place for place, (_, values, _) in enumerate(looked_at) if 2 * _width(values) >= widest)
    (_, head, _), others = looked_at[place], looked_at[place + 1 :]
    usual = sorted(len(values) for _, values, _ in others)[len(others) // 2] if others else 0
    head = [*head, *[None] * (usual - len(head))]
    first: list[str] = []
    for value in head:
        first.append(value or (first[-1] if first else ""))
    has_head = bool(others) and not any(_is_number(value) for value in first)
    names, named = column_names(first, [values for _, values, _ in others], has_head, limits)

    def read() -> Iterator[pa.RecordBatch]:
        fitting = _fitting(source, chain(looked_at[place + named :], given))
        yield from row_batches(source, short_values(source, fitting, limits), limits)
        sheets.close()  # which until then holds the file

    source = Source(
        EXCEL if is_excel else OPEN_DOCUMENT,
        "text",
        names,
        read,
    )
    source.notes.append(f"The sheet “{title}” is read; others, if there are any, are left out.")
    if place:
        above = looked_at[place][0] - 1
        source.notes.append(f"The first {above:,} rows stand above the table and are left out.")
    return source


def _place_of_table(path: Path, sheets: Iterable[tuple[str, Iterator[Row]]]) -> int:
    """Return the place of the first sheet with enough columns and rows to learn from, else of the best."""
    places: list[tuple[tuple[bool, bool], int]] = []
    for place, (_, rows) in enumerate(sheets):
        looked_at = list(islice(_filled(path, rows), HEAD_LINES))
        if not looked_at:
            continue
        wide = max(_width(values) for _, values, _ in looked_at) > 1
        rank = wide and len(looked_at) >= MIN_TABLE, wide and len(looked_at) > 1
        places.append((rank, -place))
        if all(rank):
            break
    if not places:
        raise DataRefused(f"“{path.name}” has no rows. Give a sheet with a head and rows.")
    return -max(places)[1]


def _filled(path: Path, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows that are not empty."""
    return _damaged_is_refused(path, (row for row in rows if any(row[1])))


def _width(values: Sequence[str | None]) -> int:
    return sum(one is not None for one in values)


def _fitting(source: Source, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows, each as wide as the head; a row that is wider is a fault."""
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
    """Yield the items; raise `DataRefused` for what a damaged or hostile file makes the parsers raise."""
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
    """Return a cell as a person sees it, but dates as ISO 8601; a formula is its last result."""
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
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
                rows = _ods_rows(events, element, limits)
                yield element.get(f"{_TABLE}name", ""), rows
                for _ in rows:  # what nobody read is forgotten, too
                    pass


def _ods_rows(events: Iterator[tuple[str, Any]], sheet: Any, limits: Limits) -> Iterator[Row]:
    """Yield the rows up to the sheet's end; each element is forgotten once it was read."""
    number = 0
    for event, element in events:
        if event == "end" and element is sheet:
            return
        if event == "end" and element.tag == f"{_TABLE}table-row":
            times = int(element.get(f"{_TABLE}number-rows-repeated", "1"))
            values, cells = _ods_values(element, limits)
            if any(values):
                for more in range(min(times, limits.rows + 1)):
                    yield number + more + 1, list(values), cells
            number += times
            element.clear()
            sheet.clear()


def _ods_values(row: Any, limits: Limits) -> tuple[list[str | None], list[Any]]:
    """Return the row's cells as text, and with their types."""
    cells: list[tuple[str | None, Any]] = []
    for cell in row:
        if cell.tag not in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
            continue
        times = int(cell.get(f"{_TABLE}number-columns-repeated", "1"))
        cells += [_ods_value(cell)] * min(times, limits.columns + 1)
        if len(cells) > limits.columns:
            _require_width([text for text, _ in cells], limits)
            del cells[limits.columns :]
    while cells and cells[-1][0] is None:
        cells.pop()
    return [text for text, _ in cells], [value for _, value in cells]


def _ods_value(cell: Any) -> tuple[str | None, Any]:
    """Return a cell as text, and with its type."""
    for name, typed in _ODS_TYPES.items():
        if text := cell.get(_OFFICE + name):
            try:
                return text, typed(text)
            except ValueError:
                return text, text
    text = "\n".join(_paragraph_text(one) for one in cell.findall(f"{_TEXT}p")) or None
    return text, text


def _ods_number(text: str) -> float | int:
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _ods_date(text: str) -> datetime.datetime:
    date = datetime.datetime.fromisoformat(text)
    if date.tzinfo:
        raise ValueError("cells of other formats have no time zone")
    return date


_ODS_TYPES: dict[str, Callable[[str], Any]] = {
    "value": _ods_number,
    "date-value": _ods_date,
    "boolean-value": lambda text: text == "true",
}


def _paragraph_text(paragraph: Any) -> str:
    """Return a paragraph's text; spaces, tabs and line breaks may be elements of their own."""
    parts = [paragraph.text or ""]
    for one in paragraph:
        if one.tag == f"{_TEXT}s":
            parts.append(" " * min(int(one.get(f"{_TEXT}c", "1")), 100))
        else:
            parts.append(
                {f"{_TEXT}tab": "\t", f"{_TEXT}line-break": "\n"}.get(one.tag) or _paragraph_text(one)
            )
        parts.append(one.tail or "")
    return "".join(parts)
