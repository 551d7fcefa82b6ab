"""`python -m cdvft_app models`: find a model by a part of its name."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.markup import escape

from cdvft_app.catalog.entries import KINDS, Kind
from cdvft_app.commands.options import console, table
from cdvft_app.methods import InvalidChoice
from cdvft_app.shapes.hub_models import search_models

TABLE_WIDTH = 110
WHERE = {"offline": "here offline", "listed": "hub, in the list", "known": "hub, known", "hub": "hub"}


def models(
    name: Annotated[str, typer.Argument(help="A part of the name; several words must all be in it.")] = "",
    kind: Annotated[str, typer.Option(help=f"One of {', '.join(KINDS)}.")] = "text",
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON in place of a table.")] = False,
) -> None:
    """Find a model: those that are here first, then known ones, then the hub's, if it answers."""
    wanted: Kind | None = next((one for one in KINDS if one == kind), None)
    if wanted is None:
        raise InvalidChoice(f"kind: got {kind!r}; it must be one of {', '.join(KINDS)}.")
    found, message = search_models(name, wanted)
    if message:
        typer.echo(message, err=True)
    if as_json:
        print(json.dumps([vars(one) for one in found]))
        return
    if not found:
        print(f"No model of the kind {wanted} has “{name}” in its name.")
        return
    rows = [
        (
            escape(one.key),
            escape(one.title if one.title != one.key else ""),
            f"{one.parameters / 1e6:,.1f} M" if one.parameters else "",
            f"{one.downloads:,}" if one.downloads else "",
            WHERE[one.where],
        )
        for one in found
    ]
    console(TABLE_WIDTH).print(table(("model", "title", "parameters", "downloads", "where"), rows))
