"""What was found in data of one's own, written for a terminal."""

from __future__ import annotations

from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cdvft_app.costs.quantities import amount
from cdvft_app.data.inspect import Inspection, nearest_recipe, recipe_reason


def print_progress(fraction: float | None, text: str) -> None:
    """Progress on standard error."""
    typer.echo(f"{text}{'' if fraction is None else f' ({100 * fraction:.0f} %)'}", err=True)


def show(looked: Inspection) -> None:
    """What was found, for a person."""
    console, kept = Console(), looked.kept
    read = [kept.format, kept.encoding, f"separated by {kept.separator}" if kept.separator else None]
    print(f"{', '.join(filter(None, read))}: {kept.rows:,} rows, {amount('bytes', kept.bytes)}")
    table = Table(box=None, header_style="bold")
    for heading in ("column", "used as", "type", "missing", "different"):
        table.add_column(heading, no_wrap=True)
    reads, told = ("prompt", "answer") if looked.roles.is_generative else ("input", "label")
    used: dict[str | None, str] = {name: reads for name in looked.roles.inputs}
    used |= {looked.roles.label: told} | ({looked.roles.split: "split"} if looked.roles.split else {})
    for column in looked.columns:
        row: list[Any] = [
            used.get(column.name, ""),
            column.type,
            f"{column.missing:,}",
            f"{column.distinct:,}",
        ]
        table.add_row(escape(column.name[:60]), *row)
    console.print(table)
    for line in lines(looked):
        print(line)


def lines(looked: Inspection) -> list[str]:
    """The findings, a sentence or two each."""
    found = [*looked.notes]
    if looked.problem:
        return [
            *found,
            *(f"left out: {one}" for one in looked.faults),
            f"Cannot be learned: {looked.problem}",
        ]
    found.append(f"{looked.task.capitalize()}: {looked.why}")
    for name, train, evaluation in looked.classes[:20]:
        found.append(f"  {name[:60]}: {train:,} rows to train on, {evaluation:,} to evaluate on")
    if looked.data:
        data = looked.data
        of_each = " of each class" if data.labels else ""
        held = f", held out, {100 * data.held_out:g} %{of_each} by seed {data.split_seed}"
        held = "" if data.evaluation_sha256 or data.split else held
        found.append(f"{data.train_rows:,} rows to train on, {data.evaluation_rows:,} to evaluate on{held}")
    if looked.lengths:
        unit = "tokens" if looked.lengths.exact else "words and marks"
        unit += ", prompt and answer together" if looked.roles.is_generative else ""
        found.append(
            f"Length in {unit}: mean {looked.lengths.mean}, 19 of 20 at most {looked.lengths.usual}, "
            f"longest {looked.lengths.longest}"
        )
    if looked.majority:
        name, share = looked.majority
        found.append(
            f"Always answering “{name}” is right in {100 * share:.1f} %: a score means what is above it."
        )
    found += [f"left out: {one}" for one in looked.faults]
    found += [f"mind: {one}" for one in looked.warnings]
    found.append(recipe_reason(nearest_recipe(looked.kind)))
    return found
