"""The labels of pictures, by their folders, their names, or a table beside them.

This module imports nothing of the app: exported folders have it beside their apply.py as it is.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import PurePosixPath


class NoLabels(ValueError):
    """The pictures have no labels; the text is a sentence that says why, and what to do."""


def of_folders_or_names(names: Sequence[str], splits: Collection[str]) -> tuple[dict[str, str], bool]:
    """Return each picture's label by its name, and whether labels are what the pictures' names begin with.

    Otherwise they are the names of the pictures' folders.

    Args:
        names: of the pictures, with their folders.
        splits: names of folders that say what a picture is for, and not what it shows.

    Raises:
        NoLabels: neither folders nor names tell classes apart.
    """
    labels = {name: PurePosixPath(name).parent.name for name in names}
    classes = {label for label in labels.values() if label}
    if len(classes) >= 2 and not {one.lower() for one in classes} <= {*splits}:
        return labels, False
    beginnings = {name: _beginning(PurePosixPath(name).stem) for name in names}
    if all(beginnings.values()) and 2 <= len({*beginnings.values()}) <= len(names) / 2:
        return beginnings, True
    where = f"in one folder, “{classes.pop()[:80]}”" if len(classes) == 1 else "in no folders of classes"
    raise NoLabels(
        f"The pictures lie {where}, and their names do not begin with a class and end in a number, as "
        "cat_01.png does, so they have no labels. Name them so, put each class into a folder of its own, or "
        "add a CSV with the columns file and label."
    )


def _beginning(name: str) -> str:
    """Return “cat” for cat_01, cat-1, cat.1, cat (1) and cat1; an empty text where no number follows."""
    found = re.fullmatch(r"(.*?[^\W\d_])[\W_]*\d+\W*", name)
    return found[1] if found else ""


def _decoded(data: bytes) -> str:
    """Return the text; each line that is not UTF-8 is read as Windows-1252, as lines of rows are."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    return "".join(map(_decoded_line, data.removeprefix(codecs.BOM_UTF8).splitlines(keepends=True)))


def _decoded_line(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace")


def _rows(text: str) -> list[dict[str, str]]:
    text = io.StringIO(text, newline=None).read()  # whatever ends its lines
    with suppress(csv.Error):
        dialect = csv.Sniffer().sniff(text[:8192], ",;\t|")
        return list(csv.DictReader(io.StringIO(text), dialect=dialect))
    return list(csv.DictReader(io.StringIO(text)))


def of_table(data: bytes, title: str, names: Sequence[str]) -> dict[str, str]:
    """Return each picture's label by its name; an empty one where the table does not have the picture.

    Args:
        data: of a CSV with a column of files and one of labels; UTF-8, Windows-1252, or UTF-16 with a mark.
        title: the CSV's name as a refusal writes it.
        names: of the pictures, with their folders.

    Raises:
        NoLabels: the table has no such columns, or cannot be read.
    """
    try:
        rows = _rows(_decoded(data))
    except csv.Error as error:
        raise NoLabels(f"{title} cannot be read as a CSV ({error}). Save it anew.") from None
    known = {*names, *(PurePosixPath(name).name for name in names)}
    columns = list(rows[0]) if rows else []
    named = max(
        columns, key=lambda column: sum(str(row.get(column)).strip() in known for row in rows), default=None
    )
    others = [column for column in columns if column != named and column]
    label = next((one for one in others if one.lower() in ("label", "class", "category", "target")), None)
    label = label or (others[0] if len(others) == 1 else None)
    if named is None or label is None or not any(str(row.get(named)).strip() in known for row in rows):
        raise NoLabels(
            f"{title} must have the columns file and label, a row for each picture; its columns are "
            f"{', '.join(map(str, columns)) or 'none'}."
        )
    by_name = {str(row[named]).strip(): str(row.get(label) or "").strip() for row in rows}
    return {name: by_name.get(name) or by_name.get(PurePosixPath(name).name, "") for name in names}
