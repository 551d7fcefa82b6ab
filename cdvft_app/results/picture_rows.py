"""Pictures as rows with their labels; what an exported apply.py of pictures needs beside it.

Of the app it imports how tables are read and pictures labelled: exports have both beside it as they are.
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cdvft_app.catalog.picture_labels import NoLabels, of_folders_or_names, of_table
from cdvft_app.data.row_errors import RowErrors
from cdvft_app.results.table_rows import PICTURES, NoAnswer, NumberedRow
from cdvft_app.results.table_rows import read as read_table

if TYPE_CHECKING:
    from PIL.Image import Image

TABLES = (".csv", ".tsv")
OF_PATHS = (*TABLES, ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".xlsx", ".gz")
ALLOWED = f"a folder of pictures, a zip of them, or one picture ({', '.join(PICTURES)})"


class Pictures:
    """The pictures of what is to be answered, which are opened by what their rows call them.

    Args:
        label: the column in which rows have their labels.
        splits: names of folders that say what a picture is for, and not what it shows.
    """

    def __init__(self, label: str, splits: Collection[str]) -> None:
        self.label, self.splits = label, splits
        self._files: dict[str, Path | zipfile.Path] = {}
        self._beside = Path()

    def read(self, path: Path, wanted: Sequence[str], faults: RowErrors) -> Iterator[NumberedRow]:
        """Yield a numbered row for each picture of a folder, of a zip, or of one file: {"image": its path}.

        Where folders of classes, beginnings of names or a CSV tell labels, as they do for training, rows have
        them. Of a table of rows the column `wanted` has paths of pictures, which are looked for beside it.

        Raises:
            SystemExit: it cannot be read; says why, and what to give.
        """
        ending = path.suffix.lower()
        if path.is_dir():
            found = (one for one in sorted(path.rglob("*")) if one.is_file())
            files: dict[str, Path | zipfile.Path] = {one.relative_to(path).as_posix(): one for one in found}
        elif not path.exists():
            raise SystemExit(f"“{path}” is not there. Give {ALLOWED}.")
        elif ending == ".zip":
            files = _members(path)
        elif ending in PICTURES:
            files = {path.name: path}
        elif ending not in OF_PATHS:
            raise SystemExit(f"“{path.name}” is none of what is read here. Give {ALLOWED}.")
        else:
            self._beside = path.parent
            yield from read_table(path, wanted, faults)
            return
        pictures = {name: file for name, file in sorted(files.items()) if _is_shown(name, PICTURES)}
        if not pictures:
            raise SystemExit(f"“{path.name}” holds no pictures. Give {ALLOWED}.")
        self._files = {str(file): file for file in pictures.values()}
        tables = {name: file for name, file in files.items() if _is_shown(name, TABLES)}
        labels = self._labels([*pictures], tables)
        for number, (name, file) in enumerate(pictures.items(), 1):
            yield number, {"image": str(file)} | ({self.label: labels[name]} if labels else {})

    def _labels(self, names: Sequence[str], tables: Mapping[str, Path | zipfile.Path]) -> dict[str, str]:
        """Return each picture's label by its name; none where they cannot be told."""
        try:
            if not tables:
                return of_folders_or_names(names, self.splits)[0]
            if len(tables) == 1:
                ((name, file),) = tables.items()
                return of_table(file.read_bytes(), name, names)
        except NoLabels:
            pass
        return {}

    def open(self, name: str) -> Image:
        """Return the picture that a row calls so, as RGB.

        Raises:
            NoAnswer: it cannot be read.
        """
        from PIL import Image

        file = self._files.get(name) or self._beside / name
        try:
            with file.open("rb") as opened:
                return Image.open(opened).convert("RGB")
        except (OSError, SyntaxError, ValueError, EOFError, zipfile.BadZipFile, Image.DecompressionBombError):
            raise NoAnswer(
                f"“{name}” cannot be read as a picture. Give another one, or leave it out."
            ) from None


def _members(path: Path) -> dict[str, Path | zipfile.Path]:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile):
        raise SystemExit(f"“{path.name}” is no whole zip file. Pack it again.") from None
    root = zipfile.Path(archive)
    return {name: root / name for name in archive.namelist() if not name.endswith("/")}


def _is_shown(name: str, endings: tuple[str, ...]) -> bool:
    """Return whether a name has one of the endings and is of no hidden file or folder."""
    parts = PurePosixPath(name).parts
    is_hidden = any(one == "__MACOSX" or one.startswith(".") for one in parts)
    return name.lower().endswith(endings) and not is_hidden
