"""The values of kept rows, for tests."""

from __future__ import annotations

from typing import Any

from cdvft_app.catalog.uploaded import kept_table
from cdvft_app.data.imported_table import ImportedTable


def values(kept: ImportedTable) -> list[tuple[Any, ...]]:
    """Each row without its number."""
    return [tuple(row.values())[1:] for row in kept_table(kept.sha256).to_pylist()]
