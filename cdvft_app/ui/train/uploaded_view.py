"""The view of own data as payload: its columns and first rows, classes, lengths, faults and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from cdvft_app.catalog.cleaning import title
from cdvft_app.catalog.conversations import transcript
from cdvft_app.catalog.uploaded import starting_values
from cdvft_app.data.imported_table import preview, some_of_each, thumbnails
from cdvft_app.data.inspect import EDGES, Inspection, nearest_recipe, recipe_reason
from cdvft_app.data.row_errors import Finding
from cdvft_app.format import amount, counted
from cdvft_app.payloads.train import Bars, Picture, UploadedColumn, UploadedLook
from cdvft_app.public.intake import TooMuch
from cdvft_app.store.datasets import DataRecord
from cdvft_app.store.records import shortened

ROWS_SHOWN, PICTURES_SHOWN = 5, 12
MAX_CELL, MAX_COLUMNS, MAX_CLASSES, MAX_FINDINGS = 160, 12, 12, 20
SIDE = 56  # pixels of a thumbnail


def choice_label(record: DataRecord) -> str:
    """reviews · 500 rows · 77.0 kB"""
    return f"{record.name} · {_many(record.rows, record.kind)} · {amount('bytes', record.bytes)}"


def _about(found: Sequence[Finding], column: str) -> list[str]:
    return [one for one in found if column == next(iter(one.columns), None)]


def _many(rows: int, kind: str) -> str:
    return counted(rows, "picture" if kind == "image" else "row")


def look_of(looked: Inspection, name: str) -> UploadedLook:
    """Return the payload of data that was looked at, under this name."""
    kept, roles = looked.kept, looked.roles
    read = [kept.format, kept.encoding, f"separated by {kept.separator}" if kept.separator else None]
    used = [*roles.inputs, *([roles.label] if roles.label else [])]
    names = [*used, *(one for one in kept.columns if one not in used)]
    shown = names[:MAX_COLUMNS]
    found = [*looked.faults, *looked.warnings]
    pictures, problem = _pictures(looked)
    rows = [] if pictures else preview(kept, range(ROWS_SHOWN))
    about = {column.name: column for column in looked.columns}
    columns: list[UploadedColumn] = [
        {
            "name": column,
            "type": about[column].type,
            "distinct": about[column].distinct,
            "missing": about[column].missing,
            "findings": _about(found, column)[:MAX_FINDINGS],
            "cells": [_cell(row.get(column)) for row in rows],
        }
        for column in shown
    ]
    rest = [one for one in found if next(iter(one.columns), None) not in shown]
    return {
        "name": name,
        "read": f"{', '.join(filter(None, read))}: {_many(kept.rows, kept.kind)}",
        "kind": kept.kind,
        "roles": {
            "task": "answer" if roles.is_generative else "label",
            "inputs": list(roles.inputs),
            "label": roles.label,
            "clean": list(looked.clean),
        },
        "task": "" if looked.problem else f"{_task(looked)} {looked.why}",
        "sides": "" if looked.problem else _sides(looked),
        "settings": recipe_reason(nearest_recipe(looked.kind)) if looked.data else "",
        "problem": looked.problem or problem,
        "columns": columns,
        "hidden_columns": len(names) - len(shown),
        "rows": [str(row["row"]) for row in rows],
        "pictures": pictures,
        "classes": _classes(looked),
        "lengths": _lengths(looked),
        "findings": [*looked.notes, *rest][:MAX_FINDINGS],
        "mended_by": [
            {"warning": one, "step": step, "title": title(step)}
            for one in looked.warnings
            for step in one.steps
        ],
        "cleaned": list(looked.cleaned),
        "automatic": list(looked.automatic),
    }


def losses(runs: list[str]) -> str:
    """Return a question as HTML that names the runs which deleting the data costs."""
    if not runs:
        return '<p role="alert">Delete it? No run of yours learned from it.</p>'
    more = f" and {len(runs) - 5} more" if len(runs) > 5 else ""
    names = escape("; ".join(runs[:5]) + more)
    return f'<p role="alert">Delete it? These can then not be resumed, nor show examples: {names}.</p>'


def is_held_out(looked: Inspection) -> bool:
    """Return whether the rows to evaluate on are drawn out of the others."""
    return bool(looked.data and not looked.data.split and not looked.data.evaluation_sha256)


def _task(looked: Inspection) -> str:
    if looked.task == "generation":
        return "Prompts with answers that are written."
    if looked.task == "regression":
        return "An amount."
    things = (
        {1: "Texts", 2: "Pairs of texts"}[len(looked.roles.inputs)]
        if looked.kept.kind == "text"
        else "Pictures"
    )
    return f"{things} into {len(looked.classes)} classes."


def _sides(looked: Inspection) -> str:
    data = looked.data
    if data is None:
        return ""
    of_each = " of each class" if data.labels else ""
    held = f"held out, {100 * data.held_out:g}\u00a0%{of_each} by seed {data.split_seed}"
    held = held if is_held_out(looked) else "as given"
    floor = f" {looked.majority.sentence}" if looked.majority else ""
    return f"{data.train_rows:,} rows to learn from, {data.evaluation_rows:,} to evaluate on ({held}).{floor}"


def _cell(value: object) -> str:
    return "" if value is None else shortened(transcript(str(value)), MAX_CELL)


def _pictures(looked: Inspection) -> tuple[list[Picture], str | None]:
    """Return thumbnails of some pictures of each class, or none and why."""
    if looked.kept.kind != "image":
        return [], None
    label = looked.roles.label
    places: Sequence[int] = range(PICTURES_SHOWN)
    if label:
        places = some_of_each(looked.kept, label, PICTURES_SHOWN)
    try:
        small = thumbnails(looked.kept, places, 2 * SIDE)
    except TooMuch as error:
        return [], str(error)
    rows = preview(looked.kept, places)
    return [
        {"png": png, "label": _cell(row.get(label or ""))} for png, row in zip(small, rows, strict=True)
    ], None


def _classes(looked: Inspection) -> Bars | None:
    if not looked.classes:
        return None
    most = max((train for _, train, _ in looked.classes), default=1) or 1
    rest = len(looked.classes) - MAX_CLASSES
    return {
        "title": "Rows of each class",
        "bars": [
            (_cell(name), train / most, f"{train:,}") for name, train, _ in looked.classes[:MAX_CLASSES]
        ],
        "more": f"and {rest} more classes" if rest > 0 else "",
    }


def _lengths(looked: Inspection) -> Bars | None:
    lengths = looked.lengths
    if lengths is None or looked.data is None:
        return None
    limit = int(starting_values(looked.data, nearest_recipe(looked.kind))["max_length"])
    share = lengths.share_over(limit)
    written = looked.data.kind == "generation"
    cut = f"longer than {limit} and left out" if written else f"cut at {limit}"
    what = " of prompt and answer" if written else ""
    return {
        "title": f"Length{what} in {'tokens' if lengths.exact else 'words and marks'}",
        "bars": _shares(lengths.bars),
        "more": f"{100 * share:.1f} % are {cut}." if share else f"None is {cut}.",
    }


def _shares(shares: Sequence[float]) -> list[tuple[str, float, str]]:
    names = [f"up to {edge}" for edge in EDGES] + [f"over {EDGES[-1]}"]
    most = max(shares)
    some = [(name, share) for name, share in zip(names, shares, strict=True) if share]
    return [(name, share / most, f"{100 * share:.0f} %") for name, share in some]
