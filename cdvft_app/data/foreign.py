"""Files that people bring and that are not read: what they are, and what to give in their place."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from pathlib import Path

from cdvft_app.data.source import DataRefused

WORKBOOKS = (".xlsx", ".xls")
EXCEL = "is an Excel workbook. Save the sheet as “CSV UTF-8” in Excel, and give that file."
_BEGINNINGS = {
    b"\xd0\xcf\x11\xe0": EXCEL,  # of before 2007
    b"%PDF": "is a PDF. Give its rows as a CSV, with a column of texts and one of labels.",
    b"\x1f\x8b": "is packed by gzip. Unpack it, and give the file in it.",
}
_WORKBOOK = ("xl/workbook.xml", "xl/workbook.bin")  # within the zip that a newer one is


def refuse_foreign(path: Path, start: bytes) -> None:
    """Raise DataRefused for a file that is known by its first bytes, or by what its zip holds."""
    for beginning, what in _BEGINNINGS.items():
        if start.startswith(beginning):
            raise DataRefused(f"“{path.name}” {what}")
    if start.startswith(b"PK"):
        with suppress(zipfile.BadZipFile, OSError, ValueError), zipfile.ZipFile(path) as archive:
            if any(name in archive.NameToInfo for name in _WORKBOOK):
                raise DataRefused(f"“{path.name}” {EXCEL}")
