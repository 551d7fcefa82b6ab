"""`python -m cdvft_app runs`, `delete`, `history` and `doctor`: what was run here, and its repair."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from cdvft_app.commands import FAILED
from cdvft_app.commands.options import Json, RunIds, console, table
from cdvft_app.format import training_time
from cdvft_app.settings import InvalidChoice
from cdvft_app.settings.environment import runs_folder
from cdvft_app.store import history_file
from cdvft_app.store.doctor import backup as backed_up
from cdvft_app.store.doctor import examine
from cdvft_app.store.doctor import restore as restored
from cdvft_app.store.records import RunRecord, shortened
from cdvft_app.store.runs import RunStore

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


history = typer.Typer(help="The history as one file.", no_args_is_help=True)
ZipFile = Annotated[Path, typer.Argument(help="A zip.")]


@history.command("export")
def export_history(file: ZipFile) -> None:
    """Write all ended runs, with their curves and adapters, into a new zip; without checkpoints."""
    print(f"{history_file.export_history(RunStore.default(), file)[0]} runs are in {file}")


@history.command("import")
def import_history(file: ZipFile) -> None:
    """Take the runs of such a zip into the history here; those that are here already stay as they are."""
    found = history_file.import_untrusted(
        RunStore.default(), file, None, limits=history_file.TERMINAL, by_operator=True
    )
    print(f"{len(found.ids)} runs were taken from {file}; {found.known} were here before")
    for why in found.refused:
        typer.echo(f"not taken: {why}", err=True)


def doctor(
    backup: Annotated[Path | None, typer.Option(help="Copy the history to this new file instead.")] = None,
    restore: Annotated[Path | None, typer.Option(help="Put this copy back first, then check.")] = None,
) -> None:
    """Check the history and the runs' folders, and mend them; a lost history is made anew from the folders.

    A copy can be made while the page is served. To put one back, stop the page.
    """
    root = runs_folder()
    if backup is not None and restore is not None:
        raise InvalidChoice("Give --backup or --restore, not both.")
    if backup is not None:
        backed_up(root, backup)
        print(f"The history is copied to {backup}. The folders in {root / 'runs'} are not part of it.")
        return
    if restore is not None:
        aside = restored(root, restore)
        print(f"{restore} is put back." + (f" The history before it is kept as {aside}." if aside else ""))
    left = 0
    for finding in examine(root):
        print(finding.text)
        left += not finding.mended
    print(f"{root}: {'all is well' if not left else f'{left} findings are for you to look at'}.")
    if left:
        raise typer.Exit(FAILED)
