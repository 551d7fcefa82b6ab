"""`python -m cdvft_app cost`: which method to take for a model, without its weights or a network."""

from __future__ import annotations

import csv
import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cdvft_app.commands.options import with_cost_request
from cdvft_app.costs.devices import HERE, KEYS
from cdvft_app.costs.memory import PRECISIONS
from cdvft_app.costs.request import CostRequest
from cdvft_app.costs.sentences import label
from cdvft_app.decision.decide import Decision, decide
from cdvft_app.training.device import device_kind, total_bytes

TABLE_WIDTH = 120


@with_cost_request(
    device=f"Where it should train: {', '.join(KEYS)}.",
    precision=f"Of the frozen weights: {', '.join(PRECISIONS)}.",
    aim="What matters most: file, memory, time, many (adapters at once), or quality.",
    match="Set each size to equal CDVFT's trainable_parameters or flops_per_step.",
    convention="real_fft, or asymptotic as in papers.",
)
def cost(
    request: CostRequest,
    *,
    checkpointing: Annotated[bool, typer.Option(help="Compute activations twice to keep fewer.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object, with all numbers.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print all numbers, a line a method.")] = False,
) -> None:
    """Which method to take for a model, in a sentence and a table. Nothing is downloaded."""
    made = decide(request.model_copy(update={"gradient_checkpointing": checkpointing}), _here(request))
    if as_json:
        print(json.dumps(made.facts()))
    elif as_csv:
        _write_csv(made.facts()["rows"])
    else:
        _show(made)


def _here(request: CostRequest) -> int | None:
    """This device's memory where it is asked about: a GPU's is known to torch alone, which takes seconds."""
    return total_bytes(device_kind()) if request.device == HERE else None


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


def _show(made: Decision) -> None:
    console = Console()
    console.width = max(console.width, TABLE_WIDTH)
    console.print(made.sentence, highlight=False, markup=False)
    table = Table(box=None, header_style="bold")
    table.add_column("Method", no_wrap=True)
    for answer in made.answers:
        table.add_column(answer["title"], justify="right", no_wrap=True)
    for number, row in enumerate(made.rows):
        table.add_row(label(row), *(answer["texts"][number] or "–" for answer in made.answers))
    console.print(table)
    for row in made.rows:
        if row["unavailable"]:
            console.print(f"{row['method']}: {row['unavailable']}", highlight=False, markup=False)
    for sentence in made.known.quality.sentences:
        console.print(sentence, highlight=False)
    for sentence in dict.fromkeys(text for row in made.rows for text in row["assumptions"] or ()):
        console.print(sentence, style="dim", highlight=False)
