"""The commands `runs`, `delete` and `history`."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from cdvft_app.commands.options import Json, RunIds, console, table
from cdvft_app.format import training_time
from cdvft_app.public import intake
from cdvft_app.settings.environment import runs_folder
from cdvft_app.store import history_file
from cdvft_app.store.records import RunRecord, StoreError, shortened
from cdvft_app.store.runs import RunStore, backup, rebuild

TABLE_WIDTH = 200  # room for any row, so that no number is cut
MAX_OF_NAME = 23  # characters of a run's name in the list; --json has all of it


def run_summary(run: RunRecord) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "state": run.state,
        "metric_name": run.metric_name,
        "metric": run.metric,
        "best_step": run.result.get("best_step"),
        "last_metric": run.result.get("last_metric"),
        "trainable_parameters": run.trainable_parameters,
        "seconds": run.seconds,
    }


def runs(limit: Annotated[int, typer.Option(min=1)] = 20, as_json: Json = False) -> None:
    """List the latest runs."""
    store = RunStore.default()
    found = store.history(limit)
    if as_json:
        print(json.dumps([run_summary(run) | _circumstances(run) for run in found]))
        return
    headings = ("run", "begun", "name", "method", "state", "step", "result", "parameters", "training")
    console(TABLE_WIDTH).print(table(headings, map(_row, found)))


def _row(run: RunRecord) -> tuple[str, ...]:
    return (
        run.id,
        f"{datetime.fromtimestamp(run.created):%Y-%m-%d %H:%M}",
        escape(shortened(run.name, MAX_OF_NAME)),
        run.method,
        "damaged" if run.damaged else run.state,
        f"{run.step}/{run.total_steps or '?'}",
        "" if run.metric is None else f"{run.metric_name} {run.metric:.4f}",
        "" if run.trainable_parameters is None else f"{run.trainable_parameters:,}",
        "" if run.seconds is None else training_time(run.seconds),
    )


def delete(run_ids: RunIds) -> None:
    """Delete runs with their curves and adapters. Stop a training run first."""
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


history = typer.Typer(help="Export, import, back up, and rebuild the history.", no_args_is_help=True)
ZipFile = Annotated[Path, typer.Argument(help="A ZIP file.")]
READING = intake.ChildLimits(memory=2 * 2**30)


@history.command("export")
def export_history(file: ZipFile) -> None:
    """Write all ended runs, with their curves and adapters, into a new ZIP file; without checkpoints."""
    print(f"{history_file.export_history(RunStore.default(), file)[0]} runs are in {file}")


@history.command("import")
def import_history(file: ZipFile) -> None:
    """Import the runs of an exported history; runs that are here already stay as they are."""
    found = history_file.import_history(RunStore.default(), file, _unpack_in_child)
    print(f"{len(found.ids)} runs imported from {file}; {found.known} were here before")
    for why in found.rejected:
        typer.echo(f"not imported: {why}", err=True)


def _unpack_in_child(*arguments: Any) -> dict[str, Any]:
    found: dict[str, Any] = intake.read_in_child(
        history_file.unpack,
        *arguments,
        limits=READING,
        imports=("safetensors.numpy",),
        refusals=(StoreError,),
    )
    return found


@history.command("backup")
def backup_history(folder: Annotated[Path, typer.Argument(help="A folder to create.")]) -> None:
    """Copy the database and all folders while the app runs; to restore them, set RUNS_DIR to the copy."""
    backup(runs_folder(), folder)
    print(f"The history is copied to {folder}.")


@history.command("rebuild")
def rebuild_history() -> None:
    """Rebuild the database from the run folders, each run as of its last checkpoint. Stop the app first."""
    print(rebuild(runs_folder()) or "There were no runs to restore.")
