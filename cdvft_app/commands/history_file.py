"""`python -m cdvft_app history`: all runs as one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cdvft_app.store import history_file
from cdvft_app.store.runs import RunStore

history = typer.Typer(help="The history as one file.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(help="A zip.")]


@history.command("export")
def export_history(file: File) -> None:
    """Write all ended runs, with their curves and adapters, into a new zip; without checkpoints."""
    print(f"{history_file.export_history(RunStore.default(), file)[0]} runs are in {file}")


@history.command("import")
def import_history(file: File) -> None:
    """Take the runs of such a zip into the history here; those that are here already stay as they are."""
    found = history_file.import_untrusted(
        RunStore.default(), file, None, limits=history_file.TERMINAL, by_operator=True
    )
    print(f"{len(found.ids)} runs were taken from {file}; {found.known} of it were here before")
    for why in found.refused:
        typer.echo(f"not taken: {why}", err=True)
