"""`python -m cdvft_app admin`: stop or hide runs as the operator of a server."""

from __future__ import annotations

import typer

from cdvft_app.commands.options import RunIds
from cdvft_app.store.runs import RunStore

admin = typer.Typer(help="Stop or hide runs of any user.", no_args_is_help=True)


@admin.command()
def stop(run_ids: RunIds) -> None:
    """Stop runs."""
    for run_id in run_ids:
        RunStore.default().ask_to_stop(run_id)
        print(f"stopped {run_id}")


@admin.command()
def hide(run_ids: RunIds) -> None:
    """Hide runs from everyone except their owners."""
    for run_id in run_ids:
        RunStore.default().hide(run_id, True)
        print(f"hidden {run_id}")


@admin.command()
def show(run_ids: RunIds) -> None:
    """Show hidden runs again; private ones only to their owners."""
    for run_id in run_ids:
        RunStore.default().hide(run_id, False)
        print(f"shown {run_id}")
