"""A folder of pictures on this machine, as a zip: so it is read, checked and found again as any other."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cdvft_app.data.faults import DataRefused
from cdvft_app.data.limits import Limits
from cdvft_app.data.pictures import ENDINGS, TABLES


@contextmanager
def packed(folder: Path, limits: Limits) -> Iterator[Path]:
    """A zip of its pictures and tables, of the same bytes each time; links are not followed.

    Raises:
        DataRefused: there are none, or more than is taken.
    """
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if file.name.lower().endswith((*ENDINGS, *TABLES)) and file.is_file() and not file.is_symlink()
    ]
    size = sum(file.stat().st_size for file in files)
    if not any(file.name.lower().endswith(ENDINGS) for file in files):
        raise DataRefused(
            f"The folder “{folder.name}” holds no pictures. Name one file of rows in it instead."
        )
    if len(files) > limits.members or size > limits.file_bytes:
        raise DataRefused(
            f"The folder “{folder.name}” has {len(files):,} pictures and {size / 1e6:,.0f} MB; at most "
            f"{limits.members:,} and {limits.file_bytes / 1e6:,.0f} MB are taken."
        )
    with tempfile.TemporaryDirectory(prefix="cdvft-") as work:
        whole = Path(work) / f"{folder.name}.zip"
        with zipfile.ZipFile(whole, "w") as archive:
            for file in files:  # a name of its own date would be other bytes
                archive.writestr(zipfile.ZipInfo(file.relative_to(folder).as_posix()), file.read_bytes())
        yield whole
