"""Read spreadsheets, .xlsx and .ods: the first sheet that holds a table."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdvft_app.data.row_errors import RowErrors
from cdvft_app.data.source import DataRefused, Limits, Source, row_batches, short_values
from cdvft_app.data.text_file import HEAD_ROWS, Row, find_table
from cdvft_app.data.zip_file import require_bounded
from cdvft_app.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa

SPREADSHEETS = (".xlsx", ".ods")
MIN_TABLE = 9  # rows: a header, and the fewest that are learned from
EXCEL, OPEN_DOCUMENT = "Excel workbook", "OpenDocument spreadsheet"
XLSX_MEMBER, ODS_MEMBER = "xl/workbook.xml", "content.xml"
SHEET_READ = "The sheet “{sheet}” is read; other sheets are skipped."
MERGED = "Merged areas are filled with their first cell: {count:,}."

Area = tuple[tuple[int, int], tuple[int, int]]
"""(row, column) of the first and the last cell of a merged area, from 0."""


def read_spreadsheet(path: Path, limits: Limits, progress: Progress) -> Source:
    """Read the first sheet that holds a table, or else rows."""
    import python_calamine

    with zipfile.ZipFile(path) as archive:
        require_bounded(archive, limits)
        is_excel = XLSX_MEMBER in archive.NameToInfo
    progress(None, "Opening the spreadsheet")
    try:
        with path.open("rb") as file:
            book = python_calamine.CalamineWorkbook.from_filelike(file)
            title, merged = _table_sheet(path, book)
            rows = list(_rows(book.get_sheet_by_name(title), limits))
    except (python_calamine.CalamineError, OSError, ValueError, IndexError, KeyError) as error:
        raise DataRefused(
            f"“{path.name}” cannot be read as a spreadsheet: it is damaged or has a password. Save it again "
            "without one, or as “CSV UTF-8”."
        ) from error
    if not rows:
        raise DataRefused(f"“{path.name}” has no rows. Upload a sheet with a header and rows.")
    table = find_table(rows[:HEAD_ROWS], limits, fill=True)
    merged = [area for area in merged if area[0][0] >= table.begins_after and area[1][0] > area[0][0]]
    issues = RowErrors()

    def read() -> Iterator[pa.RecordBatch]:
        fitted = table.fitted(_filled_down(rows, merged), issues, pad=True)
        yield from row_batches(source, short_values(source, fitted, limits), limits)

    notes = [SHEET_READ.format(sheet=title), *([MERGED.format(count=len(merged))] if merged else [])]
    source = Source(
        EXCEL if is_excel else OPEN_DOCUMENT, "text", table.names, read,
        notes=[*notes, *table.notes()], faults=issues,
    )  # fmt: skip
    return source


def _table_sheet(path: Path, book: Any) -> tuple[str, list[Area]]:
    """Return the first sheet with enough columns and rows to learn from, else the best; and merged areas."""
    found = []
    for place, name in enumerate(book.sheet_names):
        sheet = book.get_sheet_by_name(name)
        looked_at = [row for row in islice(sheet.iter_rows(), 200) if any(one != "" for one in row)]
        if looked_at:
            wide = max(sum(one != "" for one in row) for row in looked_at) > 1
            found.append((wide and len(looked_at) >= MIN_TABLE, wide and len(looked_at) > 1, -place, name))
    if not found:
        raise DataRefused(f"“{path.name}” has no rows. Upload a sheet with a header and rows.")
    name = max(found)[-1]
    sheet = book.get_sheet_by_name(name)
    left = (sheet.start or (0, 0))[1]  # rows begin with this column
    areas = sheet.merged_cell_ranges or []
    return name, [((top, at - left), (bottom, right - left)) for (top, at), (bottom, right) in areas]


def _rows(sheet: Any, limits: Limits) -> Iterator[Row]:
    """Yield (number as the program shows it, values) for each row that is not empty."""
    for number, cells in enumerate(sheet.iter_rows(), 1):
        values = [_as_text(one) for one in cells]
        if any(values[limits.columns :]):
            raise DataRefused(f"It has more than {limits.columns} columns, the limit. Remove some of them.")
        if any(values):
            while not values[-1]:
                values.pop()
            yield number, values


def _filled_down(rows: Iterable[Row], merged: Iterable[Area]) -> Iterator[Row]:
    """Yield the rows with the value of a merged area in all of its rows, in its first column."""
    starts: dict[int, list[Area]] = {}
    for area in merged:
        starts.setdefault(area[0][0], []).append(area)
    filling: dict[int, tuple[int, str]] = {}
    for number, cells in rows:
        values = cells
        for (_, column), (bottom, _) in starts.get(number - 1, ()):
            if column < len(values):
                filling[column] = bottom, values[column]
        for column, (bottom, value) in [*filling.items()]:
            if number - 1 > bottom:
                del filling[column]
            else:
                values = [*values, *[""] * (column + 1 - len(values))]
                values[column] = values[column] or value
        yield number, values


def _as_text(value: Any) -> str:
    """Return a cell as a person sees it, with dates as ISO 8601."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return str(value)
