"""`python -m cdvft_app cost`: the cost of each method on a model, without its weights or a network."""

from __future__ import annotations

import csv
import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

TABLE_WIDTH = 120
# Heading, field of the row, and how its numbers are written.
COLUMNS = (
    ("parameters", "trainable_parameters", "{:,}"),
    ("of the model", "trainable_share", "{:.2g}"),
    ("file, bytes", "adapter_bytes", "{:,}"),
    ("FLOPs a step", "flops_per_step", "{:.3e}"),
    ("with the model's", "total_flops_per_step", "{:.3e}"),
    ("kept, bytes", "activation_bytes", "{:,}"),
)


def cost(
    *,
    model: Annotated[str, typer.Option(help="Hub id, short name, timm name, or a folder with config.json.")],
    targets: Annotated[str | None, typer.Option(help="Layer names, with commas.")] = None,
    methods: Annotated[str | None, typer.Option(help="Methods, with commas; all if left out.")] = None,
    batch: Annotated[int | None, typer.Option(help="Sequences or images a step.")] = None,
    sequence: Annotated[int | None, typer.Option(help="Tokens in each.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side of an image in pixels.")] = None,
    m: Annotated[int | None, typer.Option(help="CDVFT: how many diagonals.")] = None,
    block_size: Annotated[int | None, typer.Option(help="CDVFT: p, side of the circulant blocks.")] = None,
    lora_r: Annotated[int | None, typer.Option(help="LoRA: rank.")] = None,
    fourierft_n: Annotated[int | None, typer.Option(help="FourierFT: entries a layer.")] = None,
    c3a_block_size: Annotated[int | None, typer.Option(help="C3A: side of the blocks.")] = None,
    match: Annotated[
        str | None,
        typer.Option(help="Set r, n, b to equal CDVFT's trainable_parameters or flops_per_step."),
    ] = None,
    convention: Annotated[str | None, typer.Option(help="real_fft, or asymptotic as in papers.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
) -> None:
    """What each method costs on a model: parameters, file, FLOPs and memory. Nothing is downloaded."""
    asked = {name: value for name, value in locals().items() if not name.startswith("as_")}
    rows = table(
        {
            **{name: value for name, value in asked.items() if value is not None},
            **{name: asked[name].split(",") for name in ("targets", "methods") if asked[name] is not None},
        }
    )
    if as_json:
        print(json.dumps(rows))
    elif as_csv:
        _write_csv(rows)
    else:
        _show(rows)


def table(asked: object) -> list[dict[str, Any]]:
    """One row a method from JSON-like values; see `CostRequest` for them. The heavy import happens here.

    Raises:
        InvalidChoice: with a sentence.
    """
    from cdvft_app.cost_request import parse_cost
    from cdvft_app.cost_table import cost_table

    return cost_table(parse_cost(asked))


def _write_csv(rows: list[dict[str, Any]]) -> None:
    flat = [{name: value for name, value in row.items() if name != "assumptions"} for row in rows]
    writer = csv.DictWriter(sys.stdout, fieldnames=list(flat[0]))
    writer.writeheader()
    for row in flat:
        writer.writerow({name: _cell(value) for name, value in row.items()})


def _cell(value: object) -> object:
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, dict):
        return _setting(value)
    return value


def _setting(setting: dict[str, int | None]) -> str:
    return " ".join(f"{name}={'auto' if value is None else value}" for name, value in setting.items())


def _show(rows: list[dict[str, Any]]) -> None:
    shown = Table(box=None, header_style="bold")
    for heading in ("method", "setting", *(heading for heading, _, _ in COLUMNS)):
        words = heading in ("method", "setting")
        shown.add_column(heading, justify="left" if words else "right", no_wrap=words)
    counted = [row for row in rows if not row["unavailable"]]
    for row in counted:
        numbers = (form.format(row[field]) for _, field, form in COLUMNS)
        shown.add_row(row["method"], _setting(row["setting"]), *numbers)
    console = Console()
    console.width = max(console.width, TABLE_WIDTH)
    console.print(shown)
    for row in rows:
        if row["unavailable"]:
            console.print(f"{row['method']}: {row['unavailable']}", highlight=False, markup=False)
    if counted:
        step = f"{counted[0]['batch']} x {counted[0]['sequence']} tokens"
        console.print(f"{counted[0]['model']}, a training step of {step}.", highlight=False)
    for sentence in dict.fromkeys(text for row in rows for text in row["assumptions"] or ()):
        console.print(sentence, style="dim", highlight=False)
