"""Zips of files that people give: what is read of one, and files that are in none, packed as one.

So several files, and a folder's, are read, checked and found again as any one file.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from cdvft_app.archives import require_safe, short
from cdvft_app.data.row_errors import RowErrors
from cdvft_app.data.source import DataRefused, Limits

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
TABLES = (".csv", ".tsv")
ROWS = (*TABLES, ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".gz", ".xlsx", ".ods")
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".whl", ".jar")
LONGEST_PATH = 400
SMALL = 1_000_000  # bytes, below which no file is a bomb


def require_bounded(archive: zipfile.ZipFile, limits: Limits) -> None:
    """Refuse an archive that an honest person would not make, and one that unpacks to more than is taken.

    Raises:
        DataRefused: why.
    """
    require_safe(archive, members=limits.members, unpacked_bytes=limits.unpacked_bytes, refused=DataRefused)
    for one in archive.infolist():
        _check_name(one.filename)
        if one.file_size > SMALL and one.file_size > limits.ratio * max(one.compress_size, 1):
            times = one.file_size / max(one.compress_size, 1)
            raise DataRefused(
                f"{short(one.filename)} in the zip unpacks to {times:,.0f} times its size; at most "
                f"{limits.ratio} times is taken."
            )


def members_of(
    archive: zipfile.ZipFile, limits: Limits, faults: RowErrors, packed_by: tuple[str, ...] = ()
) -> list[zipfile.ZipInfo]:
    """Return the archive's files after `require_bounded`. An archive within it is refused, too, unless its
    name has one of the endings `packed_by`."""
    require_bounded(archive, limits)
    names, found = set(), []
    for one in archive.infolist():
        name = one.filename
        if name.lower().endswith(tuple(one for one in ARCHIVES if one not in packed_by)):
            raise DataRefused(f"The zip has an archive in it, {short(name)}. Pack its files themselves.")
        parts = PurePosixPath(name).parts
        is_hidden = any(part == "__MACOSX" or part.startswith(".") for part in parts)
        if one.is_dir() or is_hidden or parts[-1] == "Thumbs.db":
            continue
        if name in names:
            faults.add(name, "it is in the zip twice; the first one is taken", "give it another name")
            continue
        names.add(name)
        found.append(one)
    return found


def _check_name(name: str) -> None:
    odd = not name.isprintable() or "\\" in name or ":" in name or len(name) > LONGEST_PATH
    if odd or not PurePosixPath(name).parts:
        raise DataRefused(f"{short(name)} is no name that a file in a zip may have. Pack the folder anew.")


def bytes_of(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    """Return a member's unpacked bytes, cut after `most` + 1, whatever the archive says of its size."""
    with archive.open(member) as file:
        return file.read(most + 1)


@contextmanager
def packed(folder: Path, limits: Limits) -> Iterator[Path]:
    """Give a temporary zip of a folder's pictures and tables, of the same bytes each time, without links.

    Raises:
        DataRefused: there are none, or more than is taken.
    """
    title = Path(os.path.abspath(folder)).name  # “.” has none of its own
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if file.name.lower().endswith((*PICTURES, *TABLES)) and file.is_file() and not file.is_symlink()
    ]
    if not any(file.name.lower().endswith(PICTURES) for file in files):
        raise DataRefused(f"The folder “{title}” holds no pictures. Name one file of rows in it instead.")
    names = {file.relative_to(folder).as_posix(): file for file in files}
    with _zipped(names, title, f"The folder “{title}”", limits) as whole:
        yield whole


@contextmanager
def packed_files(files: Sequence[Path], limits: Limits) -> Iterator[Path]:
    """Give a temporary zip of several pictures, with a table of labels if there is one, or of files of rows.

    Raises:
        DataRefused: others are among them, two have one name, or they are more than is taken.
    """
    names: dict[str, Path] = {}
    has_pictures = any(file.name.lower().endswith(PICTURES) for file in files)
    for file in sorted(files, key=lambda one: one.name):
        if not file.name.lower().endswith((*PICTURES, *TABLES) if has_pictures else ROWS):
            raise DataRefused(
                f"“{file.name}” does not go with the others. Several files at once are pictures, with a CSV "
                "of their labels if you have one, or files of rows with the same columns."
            )
        if file.name in names:
            raise DataRefused(f"Two of the files are named “{file.name}”. Give one of them another name.")
        names[file.name] = file
    things = sum(name.lower().endswith(PICTURES) for name in names) if has_pictures else len(names)
    title = f"{things} {'pictures' if has_pictures else 'files'}"
    with _zipped(names, title, "What you gave", limits) as whole:
        yield whole


@contextmanager
def _zipped(names: Mapping[str, Path], title: str, what: str, limits: Limits) -> Iterator[Path]:
    size = sum(file.stat().st_size for file in names.values())
    if len(names) > limits.members or size > limits.file_bytes:
        raise DataRefused(
            f"{what} has {len(names):,} files and {size / 1e6:,.0f} MB; at most "
            f"{limits.members:,} and {limits.file_bytes / 1e6:,.0f} MB are taken."
        )
    with tempfile.TemporaryDirectory(prefix="cdvft-") as work:
        whole = Path(work) / f"{title}.zip"
        with zipfile.ZipFile(whole, "w") as archive:
            for name, file in names.items():  # a name of its own date would be other bytes
                archive.writestr(zipfile.ZipInfo(name), file.read_bytes())
        yield whole
