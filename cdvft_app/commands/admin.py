"""`cdvft admin`: list visitors and runs of a server, and stop or hide runs."""

from __future__ import annotations

import typer
from rich.markup import escape

from cdvft_app.commands.options import RunIds, console, table
from cdvft_app.format import exact_duration
from cdvft_app.public.operator import Operator
from cdvft_app.store.runs import RunStore

TABLE_WIDTH = 280  # room for any row, so that nothing of it is cut

admin = typer.Typer(
    help="List visitors and runs of this server, and stop or hide runs.", no_args_is_help=True
)


def _operator() -> Operator:
    return Operator.of(RunStore.default())


@admin.command()
def visitors() -> None:
    """List visitors with their time and unfinished runs."""
    rows = [
        (escape(one.visitor), exact_duration(one.seconds), exact_duration(one.training), str(one.runs))
        for one in _operator().visitors()
    ]
    console(TABLE_WIDTH).print(table(("visitor", "time", "training", "runs"), rows))


@admin.command()
def runs() -> None:
    """List all unfinished runs, and the latest of the others."""
    rows = []
    for run in _operator().runs():
        seen = "owner, operator" if run.private or run.hidden else "all"
        row = (run.id, run.visitor or "", run.name, run.method, run.state, seen)
        rows.append([escape(cell) for cell in row])
    headings = ("run", "visitor", "name", "method", "state", "seen by")
    console(TABLE_WIDTH).print(table(headings, rows))


@admin.command()
def stop(run_ids: RunIds) -> None:
    """Stop runs."""
    for run_id in run_ids:
        _operator().store.ask_to_stop(run_id)
        print(f"stopped {run_id}")


@admin.command()
def hide(run_ids: RunIds) -> None:
    """Hide runs from everyone except their owners."""
    for run_id in run_ids:
        _operator().store.hide(run_id, True)
        print(f"hidden {run_id}")


@admin.command()
def show(run_ids: RunIds) -> None:
    """Show hidden runs again; private ones only to their owners."""
    for run_id in run_ids:
        _operator().store.hide(run_id, False)
        print(f"shown {run_id}")


@admin.command()
def clear() -> None:
    """Stop all queued runs."""
    print(f"stopped {_operator().clear()} waiting runs")
