"""`python -m cdvft_app measure`: step time and memory of each method on a model of random weights, here."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cdvft_app.commands import exit_codes
from cdvft_app.commands.cost import TABLE_WIDTH, setting_text
from cdvft_app.commands.options import with_cost_request
from cdvft_app.costs.quantities import amount
from cdvft_app.costs.request import CostRequest
from cdvft_app.measuring.background import MeasuringFailed, WaitingLine, device_here, measuring
from cdvft_app.measuring.comparison_times import file_row, timed_rows
from cdvft_app.store.measurements import KEY
from cdvft_app.store.runs import RunStore


@with_cost_request(match="seconds_per_step: try sizes until a step takes as long as CDVFT's.")
def measure(
    request: CostRequest,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Measure a training step of each method on this machine; the page's Compare tab shows it too."""
    store = RunStore.default()
    try:
        with closing(measuring(request, WaitingLine(), store.measurements.disturbed)) as lines:
            for update in lines:
                if update["kind"] == "begin":
                    print(f"measuring {update['method']} {setting_text(update['setting'])}", file=sys.stderr)
                elif update["kind"] == "refused":
                    print(f"{update['method']}: {update['why']}", file=sys.stderr)
                elif update["kind"] == "result":
                    store.measurements.keep(update)
    except MeasuringFailed as error:
        print(error, file=sys.stderr)
        raise typer.Exit(exit_codes.FAILED) from None
    device = device_here()
    rows, sentences = timed_rows(
        request,
        lambda row: store.measurements.latest(**{name: row[name] for name in KEY}, device=device),
    )
    if as_json:
        print(json.dumps([file_row(row) for row in rows]))
    else:
        _show(rows, sentences)


def _show(rows: list[dict[str, Any]], sentences: list[str]) -> None:
    table = Table(box=None, header_style="bold")
    for heading in ("method", "setting", "step", "quartiles", "steps", "peak memory", "others busy"):
        table.add_column(heading, no_wrap=True)
    for row in rows:
        if found := row["measured"]:
            low, median, high = (amount("seconds", found[name]) for name in ("low", "seconds", "high"))
            numbers = (str(found["steps"]), amount("bytes", found["peak_bytes"]), f"{found['others']:.0%}")
            table.add_row(row["method"], setting_text(row["setting"]), median, f"{low} to {high}", *numbers)
    console = Console()
    console.width = max(console.width, TABLE_WIDTH)
    console.print(table)
    for sentence in sentences:
        console.print(sentence, highlight=False)
