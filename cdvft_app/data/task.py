"""What a column of labels can teach: classes, an amount, or nothing, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cdvft_app.catalog.uploaded_rows import table
from cdvft_app.data.columns import LABEL_NAMES, MAX_CLASSES, Column, Roles, connect, quoted
from cdvft_app.data.keep import ImportedTable

MAX_NUMBERS = 20  # different ones, beyond which they are taken for amounts and not for classes


def no_roles(columns: Sequence[Column], roles: Roles) -> str:
    """Why these columns have no input or no label."""
    if roles.is_generative:
        return "It needs two columns of text, one for the prompt and one for the answer. Say which ones."
    if not roles.inputs:
        return "No column holds text to read. Say which one by its name."
    if len(columns) == 1:
        return f"It has one column, “{columns[0].name}”. Give it a second one, with the label of each row."
    for column in columns:
        if column.name.lower() in LABEL_NAMES and column.distinct < 2:
            return _nothing_to_tell(column)
    names = ", ".join(f"{column.name} ({column.distinct:,} different)" for column in columns[:10])
    return f"No column looks like a label, which has a few different values: {names}. Say which one it is."


def _nothing_to_tell(column: Column) -> str:
    have = "the same value in each row" if column.distinct else "no value in any row"
    return f"“{column.name}” has {have}: there is nothing to tell apart. Choose another label."


def task_of(
    kept: ImportedTable, columns: Sequence[Column], roles: Roles
) -> tuple[tuple[str, ...], str, str | None]:
    """The classes, none for a regression; why; and why nothing can be learned, if so."""
    column = next(one for one in columns if one.name == roles.label)
    name = f"“{column.name}”"
    many = f"{column.distinct:,} different values"
    if column.distinct < 2:
        return (), "", _nothing_to_tell(column)
    numbers = column.type in ("numbers", "whole numbers")
    if numbers and kept.kind == "text" and (column.type == "numbers" or column.distinct > MAX_NUMBERS):
        return (), f"{name} holds {column.type}, {many}: an amount is to be told.", None
    if column.type == "text" and kept.kind == "text" and (example := _decimal_comma(kept, column)):
        point = example.replace(",", ".")
        return (
            (),
            "",
            f"{name} holds numbers with a comma, such as {example}. Write them with a point: {point}.",
        )
    if column.distinct > min(MAX_CLASSES, max(kept.rows // 2, 2)):
        return (
            (),
            "",
            f"{name} has {many} in {kept.rows:,} rows: it names rows, not classes. Choose another label"
            f"{', or let it be written as an answer' if column.type == 'text' else ''}.",
        )
    with connect(r=table(kept.sha256)) as connection:
        query = f"SELECT DISTINCT nullif(trim(r.{quoted(column.name)}), '') AS v FROM r WHERE v IS NOT NULL"
        values = [row[0] for row in connection.execute(query).fetchall()]
    if any(len(value) > 200 for value in values):
        return (), "", f"{name} has values of more than 200 characters: they are no names of classes."
    key: Any = (lambda value: (float(value), value)) if numbers else None
    return tuple(sorted(values, key=key)), f"{name} has {many}: one of so many classes is to be told.", None


def _decimal_comma(kept: ImportedTable, column: Column) -> str | None:
    """One of the column's values, if each is a number with a comma where a point is meant, or none."""
    with connect(r=table(kept.sha256)) as connection:
        row = connection.execute(
            "SELECT max(v) FILTER (contains(v, ',')), bool_and(regexp_full_match(v, '[+-]?[0-9]+(,[0-9]+)?'))"
            f" FROM (SELECT nullif(trim(r.{quoted(column.name)}), '') AS v FROM r)"
        ).fetchone()
    example, every = row or (None, False)
    return example if every else None
