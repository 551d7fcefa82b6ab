"""`python -m cdvft_app data`: look at data of one's own, list it, delete it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cdvft_app.commands.findings import print_progress, show
from cdvft_app.commands.train import Answer, Evaluation, HeldOut, Json, Label, Prompt, SplitSeed, Text
from cdvft_app.costs.quantities import amount
from cdvft_app.data import library
from cdvft_app.data.imported_table import import_file
from cdvft_app.data.inspect import as_dict
from cdvft_app.data.inspect import inspect as inspected
from cdvft_app.store.runs import RunStore

app = typer.Typer(help="Data of your own: look at it, list it, delete it.", no_args_is_help=True)


@app.command()
def inspect(
    file: Path,
    *,
    text: Text = None,
    label: Label = None,
    prompt: Prompt = None,
    answer: Answer = None,
    held_out: HeldOut = None,
    split_seed: SplitSeed = 0,
    evaluation: Evaluation = None,
    as_json: Json = False,
) -> None:
    """Read a file and say what would be learned from it, and what is wrong with it."""
    kept = import_file(file, progress=print_progress)
    other = import_file(evaluation, progress=print_progress) if evaluation else None
    try:
        looked = inspected(
            kept,
            file.stem,
            **library.read_roles(text or [], label, prompt or [], answer),
            **library.read_split(None if held_out is None else 100 * held_out, split_seed),
            evaluation=other,
            evaluation_title=evaluation.stem if evaluation else "",
        )
        if as_json:
            print(json.dumps(as_dict(looked)))
        else:
            show(looked)
    finally:
        library.forget_unowned(RunStore.default(), filter(None, (kept, other)))


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the data that was given in a terminal."""
    found = RunStore.default().datasets.of(None)
    if as_json:
        print(json.dumps([vars(record) for record in found]))
        return
    table = Table(box=None, header_style="bold")
    for heading in ("data", "given", "name", "format", "rows", "size"):
        table.add_column(heading, no_wrap=True)
    for record in found:
        table.add_row(
            record.id,
            f"{datetime.fromtimestamp(record.created):%Y-%m-%d %H:%M}",
            escape(record.name),
            record.format,
            f"{record.rows:,}",
            amount("bytes", record.bytes),
        )
    Console().print(table)


@app.command()
def delete(data_id: str) -> None:
    """Delete data that was given in a terminal; says which runs then cannot be resumed."""
    store = RunStore.default()
    lost = library.losses(store, data_id, None)
    library.remove(store, data_id, None)
    print(f"deleted {data_id}")
    for run in lost:
        print(f"cannot be resumed, nor show examples: {run}")
