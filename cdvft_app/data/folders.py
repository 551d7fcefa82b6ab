"""Pictures that are in no zip, as one: so they are read, checked and found again as any other."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
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
    if not any(file.name.lower().endswith(ENDINGS) for file in files):
        raise DataRefused(
            f"The folder “{folder.name}” holds no pictures. Name one file of rows in it instead."
        )
    names = {file.relative_to(folder).as_posix(): file for file in files}
    with _zipped(names, folder.name, f"The folder “{folder.name}”", limits) as whole:
        yield whole


@contextmanager
def packed_files(files: Sequence[Path], limits: Limits) -> Iterator[Path]:
    """A zip of several pictures, and of a table of their labels if there is one.

    Raises:
        DataRefused: others are among them, two have one name, or they are more than is taken.
    """
    names: dict[str, Path] = {}
    for file in sorted(files, key=lambda one: one.name):
        if not file.name.lower().endswith((*ENDINGS, *TABLES)):
            raise DataRefused(
                f"“{file.name}” is no picture. Several files at once are pictures, with a CSV of their "
                "labels if you have one; give anything else by itself."
            )
        if file.name in names:
            raise DataRefused(f"Two of the files are named “{file.name}”. Give one of them another name.")
        names[file.name] = file
    pictures = [name for name in names if name.lower().endswith(ENDINGS)]
    if not pictures:
        raise DataRefused("Several tables cannot be read at once. Give one, and choose the others later.")
    with _zipped(names, f"{len(pictures)} pictures", "What you gave", limits) as whole:
        yield whole


@contextmanager
def _zipped(names: Mapping[str, Path], title: str, what: str, limits: Limits) -> Iterator[Path]:
    size = sum(file.stat().st_size for file in names.values())
    if len(names) > limits.members or size > limits.file_bytes:
        raise DataRefused(
            f"{what} has {len(names):,} pictures and {size / 1e6:,.0f} MB; at most "
            f"{limits.members:,} and {limits.file_bytes / 1e6:,.0f} MB are taken."
        )
    with tempfile.TemporaryDirectory(prefix="cdvft-") as work:
        whole = Path(work) / f"{title}.zip"
        with zipfile.ZipFile(whole, "w") as archive:
            for name, file in names.items():  # a name of its own date would be other bytes
                archive.writestr(zipfile.ZipInfo(name), file.read_bytes())
        yield whole
