"""`python -m cdvft_app export`: a finished run, taken home."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from cdvft_app.commands.options import RunId
from cdvft_app.results.exporters import AS_TRAINED, DEFAULT_RANK, EXPORTERS, Export
from cdvft_app.results.finished_run import find
from cdvft_app.store.runs import RunStore

ZIP = "zip"
"""Beside the exporters: as it was trained, in one file."""


def _formats() -> dict[str, list[str]]:
    """By what each is, the options that write it."""
    found: dict[str, list[str]] = {}
    for one in EXPORTERS.values():
        found.setdefault(one.help, []).extend([one.option, ZIP] if one is AS_TRAINED else [one.option])
    return found


To = Enum("To", {name: name for names in _formats().values() for name in names}, type=str)  # type: ignore[misc]
HELP = " ".join(f"{' or '.join(names)}: {what}." for what, names in _formats().items())
Rank = Annotated[int, typer.Option(min=1, help="Of LoRA; a higher one keeps more of what was learned.")]
What = Annotated[To, typer.Option("--to", help=HELP)]


def export(
    run_id: RunId,
    to: What,
    out: Annotated[Path, typer.Option(help="Where it is written; must not be there yet.")],
    rank: Rank = DEFAULT_RANK,
) -> None:
    """Write a finished run so that others can load it, with a model card."""
    store = RunStore.default()
    wanted = Export(store, find(store, run_id), rank)

    def progress(fraction: float | None, text: str) -> None:
        typer.echo(text, err=True)

    if to.value == ZIP:
        AS_TRAINED.write_zip(wanted, out, progress)
    else:
        by_option = {one.option: one for one in EXPORTERS.values()}
        by_option[to.value].write_folder(wanted, out, progress)
    print(out)
