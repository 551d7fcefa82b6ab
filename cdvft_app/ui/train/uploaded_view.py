"""What the panel of one's own data shows, as HTML: rows, classes, lengths, and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from cdvft_app.catalog.uploaded import starting_values
from cdvft_app.costs.quantities import amount
from cdvft_app.data.imported_table import preview, thumbnails
from cdvft_app.data.inspect import EDGES, Inspection, nearest_recipe, recipe_reason
from cdvft_app.public.intake import TooMuch
from cdvft_app.store.datasets import DataRecord
from cdvft_app.ui.shared.problem import problem

ROWS_SHOWN, PICTURES_SHOWN = 5, 12
CELL, MAX_COLUMNS, MAX_CLASSES = 90, 6, 12
SIDE = 56  # pixels of a thumbnail


def choice_label(record: DataRecord) -> str:
    """reviews · 500 rows · 77.0 kB"""
    return f"{record.name} · {_many(record.rows, record.kind)} · {amount('bytes', record.bytes)}"


def _many(rows: int, kind: str) -> str:
    return f"{rows:,} {'picture' if kind == 'image' else 'row'}{'' if rows == 1 else 's'}"


def inspection(looked: Inspection) -> str:
    """Rows, then what would be learned, then what to mind."""
    kept, parts = looked.kept, []
    read = [kept.format, kept.encoding, f"separated by {kept.separator}" if kept.separator else None]
    parts.append(
        f'<p class="quiet">{escape(", ".join(filter(None, read)))}: {_many(kept.rows, kept.kind)}</p>'
    )
    parts.append(_pictures(looked) if kept.kind == "image" else _rows(looked))
    if looked.problem:
        parts.append(problem(looked.problem))
    else:
        parts.append(f'<p class="own-task"><b>{_task(looked)}</b> {escape(looked.why)}</p>')
        parts.append(_split(looked))
        parts.append(_classes(looked) + _lengths(looked))
    parts.append(_list("Left out", looked.faults) + _list("Notes", [*looked.notes, *looked.warnings]))
    if looked.data:
        parts.append(f'<p class="quiet">{escape(recipe_reason(nearest_recipe(looked.kind)))}</p>')
    return f'<div class="own-found">{"".join(parts)}</div>'


def chosen(data: Mapping[str, Any] | None) -> str:
    """What a race would learn from, if it is data of one's own."""
    if not data:
        return ""
    return (
        f'<p role="status">Learning from your data <b>“{escape(str(data.get("title")))}”</b>: '
        f"{data.get('train_rows'):,} rows, evaluated on {data.get('evaluation_rows'):,}. "
        "<span class='quiet'>Choose a recipe to go back to its own.</span></p>"
    )


def losses(runs: list[str]) -> str:
    if not runs:
        return '<p role="alert">Delete it? No run of yours learned from it.</p>'
    more = f" and {len(runs) - 5} more" if len(runs) > 5 else ""
    names = escape("; ".join(runs[:5]) + more)
    return f'<p role="alert">Delete it? These can then not be resumed, nor show examples: {names}.</p>'


def is_held_out(looked: Inspection) -> bool:
    """Whether the rows to evaluate on are drawn out of the others."""
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


def _split(looked: Inspection) -> str:
    data = looked.data
    if data is None:
        return ""
    of_each = " of each class" if data.labels else ""
    held = f"held out, {100 * data.held_out:g}\u00a0%{of_each} by seed {data.split_seed}"
    held = held if is_held_out(looked) else "as given"
    floor = ""
    if looked.majority:
        floor = f" {escape(looked.majority.sentence)}"
    sides = f"{data.train_rows:,} rows to learn from, {data.evaluation_rows:,} to evaluate on ({held})."
    return f"<p>{sides}{floor}</p>"


def _rows(looked: Inspection) -> str:
    used = [*looked.roles.inputs, *([looked.roles.label] if looked.roles.label else [])]
    names = [*used, *(one for one in looked.kept.columns if one not in used)][:MAX_COLUMNS]
    kinds = {column.name: column for column in looked.columns}
    head = "".join(
        f'<th scope="col">{escape(name[:40])}<br><span class="quiet">{kinds[name].type}, '
        f"{kinds[name].distinct:,} different"
        + (f", {kinds[name].missing:,} missing" if kinds[name].missing else "")
        + "</span></th>"
        for name in names
    )
    body = "".join(
        f'<tr><th scope="row">{row["row"]}</th>'
        + "".join(f"<td>{_cell(row.get(name))}</td>" for name in names)
        + "</tr>"
        for row in preview(looked.kept, ROWS_SHOWN)
    )
    return (
        '<div class="own-rows" tabindex="0" role="region" aria-label="First rows"><table><thead><tr>'
        f'<th scope="col">Row</th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return escape(text if len(text) <= CELL else text[: CELL - 1] + "…")


def _pictures(looked: Inspection) -> str:
    label = looked.roles.label or ""
    try:
        small = thumbnails(looked.kept, PICTURES_SHOWN, 2 * SIDE)
    except TooMuch as error:
        return problem(str(error))
    figures = "".join(
        f'<figure><img src="data:image/png;base64,{png}" alt="{escape(str(row.get(label)))}" '
        f'width="{SIDE}" height="{SIDE}"><figcaption>{_cell(row.get(label))}</figcaption></figure>'
        for png, row in zip(small, preview(looked.kept, PICTURES_SHOWN), strict=True)
    )
    return f'<div class="own-pictures">{figures}</div>'


def _classes(looked: Inspection) -> str:
    most = max((train for _, train, _ in looked.classes), default=1)
    rows = [(name, train / most, f"{train:,}") for name, train, _ in looked.classes[:MAX_CLASSES]]
    rest = len(looked.classes) - MAX_CLASSES
    more = f'<p class="quiet">and {rest} more classes</p>' if rest > 0 else ""
    return _bars("Rows of each class", rows) + more if rows else ""


def _lengths(looked: Inspection) -> str:
    lengths = looked.lengths
    if lengths is None or looked.data is None:
        return ""
    names = [f"up to {edge}" for edge in EDGES] + [f"over {EDGES[-1]}"]
    most = max(lengths.bars)
    rows = [
        (name, share / most, f"{100 * share:.0f} %")
        for name, share in zip(names, lengths.bars, strict=True)
        if share
    ]
    limit = int(starting_values(looked.data, nearest_recipe(looked.kind))["max_length"])
    unit = "tokens" if lengths.exact else "words and marks"
    share = lengths.share_over(limit)
    written = looked.data.kind == "generation"
    cut = f"longer than {limit} and left out" if written else f"cut at {limit}"
    over = f"{100 * share:.1f} % are {cut}." if share else f"None is {cut}."
    what = " of prompt and answer" if written else ""
    return _bars(f"Length{what} in {unit}", rows) + f'<p class="quiet">{over}</p>'


def _bars(title: str, rows: list[tuple[str, float, str]]) -> str:
    items = "".join(
        f"<li><span>{_cell(name)}</span>"
        f'<span class="bar" style="--share:{share:.3f}" aria-hidden="true"></span><span>{text}</span></li>'
        for name, share, text in rows
    )
    return f'<h3>{escape(title)}</h3><ul class="own-bars" role="list">{items}</ul>'


def _list(title: str, sentences: tuple[str, ...] | list[str]) -> str:
    if not sentences:
        return ""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences[:20])
    return f'<h3>{title}</h3><ul class="own-sentences">{items}</ul>'
