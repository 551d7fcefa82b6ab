"""`python -m cdvft_app cost` and `measure`: which method to take for a model, without its weights or a
network, and how long a step of each takes on this machine.
"""

from __future__ import annotations

import csv
import json
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cdvft_app.commands.options import console, table, with_cost_request
from cdvft_app.costs.request import DEVICE_KEYS, HERE, PRECISIONS, CostRequest
from cdvft_app.format import amount

if TYPE_CHECKING:
    from cdvft_app.decision.decide import Decision

TABLE_WIDTH = 120


@with_cost_request(
    device=f"Where it should train: {', '.join(DEVICE_KEYS)}.",
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
    explain: Annotated[bool, typer.Option(help="Print the assumptions too.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print all numbers, a line a method.")] = False,
) -> None:
    """Recommend a method for a model, and list the cost of each. Nothing is downloaded."""
    from cdvft_app.decision.decide import decide

    made = decide(request.model_copy(update={"gradient_checkpointing": checkpointing}), _here(request))
    if as_json:
        print(json.dumps(made.as_json()))
    elif as_csv:
        _write_csv(made.as_json()["rows"])
    else:
        _show(made, explain)


def _here(request: CostRequest) -> int | None:
    """Return this device's memory where it is asked about; a GPU's takes seconds, as torch alone knows it."""
    if request.device != HERE:
        return None
    from cdvft_app.training.device import device_kind, total_bytes

    return total_bytes(device_kind())


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


def _show(made: Decision, explain: bool) -> None:
    from cdvft_app.costs.sentences import label

    wide = console(TABLE_WIDTH)
    wide.print(made.sentence, highlight=False, markup=False)
    rows = [
        (label(row), *(answer["texts"][number] or "–" for answer in made.answers))
        for number, row in enumerate(made.rows)
    ]
    wide.print(table(["Method", *(answer["title"] for answer in made.answers)], rows, numbers=True))
    for row in made.rows:
        if row["unavailable"]:
            wide.print(f"{row['method']}: {row['unavailable']}", highlight=False, markup=False)
    if explain:
        for sentence in dict.fromkeys(text for row in made.rows for text in row["assumptions"] or ()):
            wide.print(sentence, style="dim", highlight=False)


@with_cost_request(match="seconds_per_step: try sizes until a step takes as long as CDVFT's.")
def measure(
    request: CostRequest,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Measure a training step of each method on this machine; the page's Compare tab shows it too."""
    from cdvft_app.measuring.background import WaitingLine, device_here, measuring
    from cdvft_app.measuring.comparison_times import file_row, timed_rows
    from cdvft_app.store.measurements import KEY
    from cdvft_app.store.runs import RunStore

    store = RunStore.default()
    with closing(measuring(request, WaitingLine(), store.measurements.disturbed)) as lines:
        for update in lines:
            if update["kind"] == "begin":
                print(f"measuring {update['method']} {setting_text(update['setting'])}", file=sys.stderr)
            elif update["kind"] == "refused":
                print(f"{update['method']}: {update['why']}", file=sys.stderr)
            elif update["kind"] == "result":
                store.measurements.keep(update)
    device = device_here()
    rows, sentences = timed_rows(
        request,
        lambda row: store.measurements.latest(**{name: row[name] for name in KEY}, device=device),
    )
    if as_json:
        print(json.dumps([file_row(row) for row in rows]))
    else:
        _show_times(rows, sentences)


def _show_times(rows: list[dict[str, Any]], sentences: list[str]) -> None:
    shown = []
    for row in rows:
        if found := row["measured"]:
            low, median, high = (amount("seconds", found[name]) for name in ("low", "seconds", "high"))
            numbers = (str(found["steps"]), amount("bytes", found["peak_bytes"]), f"{found['others']:.0%}")
            shown.append((row["method"], setting_text(row["setting"]), median, f"{low} to {high}", *numbers))
    wide = console(TABLE_WIDTH)
    headings = ("method", "setting", "step", "quartiles", "steps", "peak memory", "others busy")
    wide.print(table(headings, shown))
    for sentence in sentences:
        wide.print(sentence, highlight=False)
