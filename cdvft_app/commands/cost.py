"""`python -m cdvft_app cost`: the cost of each method on a model, without its weights or a network."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cdvft_app.commands.options import with_cost_request
from cdvft_app.costs.quantities import amount, percent
from cdvft_app.costs.request import CostRequest
from cdvft_app.costs.table import cost_table
from cdvft_app.judging.advice import advice

TABLE_WIDTH = 120
# Heading, field of the row, and how it is written.
COLUMNS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("parameters", "trainable_parameters", partial(amount, "count")),
    ("of the model", "trainable_share", percent),
    ("file", "adapter_bytes", partial(amount, "bytes")),
    ("added a step", "flops_per_step", partial(amount, "flops")),
    ("with the model's", "total_flops_per_step", partial(amount, "flops")),
    ("memory in all", "step_bytes", partial(amount, "bytes")),
)


@with_cost_request(
    match="Set each size to equal CDVFT's trainable_parameters or flops_per_step.",
    convention="real_fft, or asymptotic as in papers.",
)
def cost(
    request: CostRequest,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
) -> None:
    """What each method costs on a model: parameters, file, FLOPs and memory. Nothing is downloaded."""
    rows = cost_table(request)
    if as_json:
        print(json.dumps(rows))
    elif as_csv:
        _write_csv(rows)
    else:
        _show(rows)


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
        return setting_text(value)
    return value


def setting_text(setting: dict[str, int | None]) -> str:
    return " ".join(f"{name}={'auto' if value is None else value}" for name, value in setting.items())


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, header_style="bold")
    for heading in ("method", "setting", *(heading for heading, _, _ in COLUMNS)):
        is_text = heading in ("method", "setting")
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=True)
    counted = [row for row in rows if not row["unavailable"]]
    for row in counted:
        numbers = (formatted(row[field]) for _, field, formatted in COLUMNS)
        table.add_row(row["method"], setting_text(row["setting"]), *numbers)
    console = Console()
    console.width = max(console.width, TABLE_WIDTH)
    console.print(table)
    for row in rows:
        if row["unavailable"]:
            console.print(f"{row['method']}: {row['unavailable']}", highlight=False, markup=False)
    if counted:
        step = f"{counted[0]['batch']} x {counted[0]['sequence']} tokens"
        console.print(f"{counted[0]['model']}, a training step of {step}.", highlight=False)
    for sentence in advice(rows):
        console.print(sentence, highlight=False)
    for sentence in dict.fromkeys(text for row in rows for text in row["assumptions"] or ()):
        console.print(sentence, style="dim", highlight=False)
