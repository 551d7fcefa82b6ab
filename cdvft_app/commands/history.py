"""`python -m cdvft_app runs` and `delete`: what was run here."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cdvft_app.commands.train import Json, facts
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore

TABLE_WIDTH = 200  # room for any row, so that no number is cut
MAX_OF_NAME = 24  # characters of a run's name in the list; --json has all of it


def runs(limit: Annotated[int, typer.Option(min=1)] = 20, as_json: Json = False) -> None:
    """List the latest runs."""
    store = RunStore.default()
    found = store.history(limit)
    if as_json:
        print(json.dumps([facts(run) | _circumstances(run) for run in found]))
        return
    table = Table(box=None, header_style="bold")
    for heading in ("run", "begun", "name", "method", "state", "step", "result", "parameters", "seconds"):
        table.add_column(heading, no_wrap=True)
    for run in found:
        table.add_row(
            run.id,
            f"{datetime.fromtimestamp(run.created):%Y-%m-%d %H:%M}",
            escape(run.name if len(run.name) <= MAX_OF_NAME else f"{run.name[: MAX_OF_NAME - 1]}…"),
            run.method,
            "damaged" if run.damaged else run.state,
            f"{run.step}/{run.total_steps or '?'}",
            "" if run.metric is None else f"{run.metric_name} {run.metric:.4f}",
            "" if run.trainable_parameters is None else f"{run.trainable_parameters:,}",
            "" if run.seconds is None else f"{run.seconds:.1f}",
        )
    console = Console()
    console.width = max(console.width, TABLE_WIDTH)
    console.print(table)


def delete(run_ids: list[str]) -> None:
    """Delete runs with their curves and adapters, whoever started them; one that trains must be stopped."""
    store = RunStore.default()
    for run_id in run_ids:
        store.remove(run_id)
        print(f"deleted {run_id}")


def _circumstances(run: RunRecord) -> dict[str, Any]:
    return {
        "name": run.name,
        "recipe": run.settings.recipe,
        "method": run.method,
        "reason": run.reason,
        "step": run.step,
        "total_steps": run.total_steps,
        "created": run.created,
    }
