"""Tables as people give them, the values that are kept of them, and what is found in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import openpyxl

from cdvft_app.catalog.uploaded import kept_table
from cdvft_app.data.imported_table import ImportedTable, import_file
from cdvft_app.data.inspect import Inspection, inspect, roles_of


def values(kept: ImportedTable) -> list[tuple[Any, ...]]:
    """Each row without its number."""
    return [tuple(row.values())[1:] for row in kept_table(kept.sha256).to_pylist()]


def table_of(folder: Path, head: str, rows: Iterable[str | Sequence[Any]], name: str = "rows.csv") -> Path:
    """A CSV of these rows, each its line or its values, which are written as they are."""
    lines = (row if isinstance(row, str) else ",".join(map(str, row)) for row in rows)
    (folder / name).write_text("\n".join([head, *lines]), encoding="utf-8")
    return folder / name


def looked(path: Path, clean: Sequence[str] = (), evaluation: Path | None = None, **said: Any) -> Inspection:
    """What is found in a file with these steps and roles, named as the file is."""
    kept, other = import_file(path), evaluation and import_file(evaluation)
    title = evaluation.stem if evaluation else ""
    return inspect(
        kept, path.stem, roles_of(kept, **said), evaluation=other, evaluation_title=title, clean=clean
    )


def workbook(path: Path, **sheets: Iterable[Sequence[Any]]) -> Path:
    """An .xlsx with these sheets."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for one in rows:
            sheet.append(one)
    book.save(path)
    return path
