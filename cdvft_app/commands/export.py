"""`python -m cdvft_app export`: a finished run, taken home."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from cdvft_app.results.finished_run import find
from cdvft_app.store.runs import RunStore


class To(str, Enum):
    """What is written."""

    folder = "folder"
    zip = "zip"
    merged = "merged"
    lora = "lora"
    script = "script"
    notebook = "notebook"


Rank = Annotated[int, typer.Option(min=1, help="Of LoRA; a higher one keeps more of what was learned.")]
What = Annotated[
    To,
    typer.Option(
        "--to",
        help="folder or zip: as it was trained. merged: one plain model. lora: cut to LoRA. "
        "script or notebook: a folder that trains the same run without the app.",
    ),
]


def export(
    run_id: str,
    to: What,
    out: Annotated[Path, typer.Option(help="Where it is written; must not be there yet.")],
    rank: Rank = 8,
) -> None:
    """Write a finished run so that others can load it, with a model card."""
    store = RunStore.default()
    run = find(store, run_id)

    def progress(fraction: float | None, text: str) -> None:
        typer.echo(text, err=True)

    from cdvft_app.results.export import Export, write_folder, write_zip
    from cdvft_app.results.script import write_script

    if to in (To.script, To.notebook):
        write_script(run, to is To.notebook, out, progress)
    elif to is To.zip:
        write_zip(store, Export(run, "adapter"), out, progress)
    else:
        form = {To.folder: "adapter", To.merged: "merged", To.lora: "lora"}[to]
        write_folder(store, Export(run, form, rank), out, progress)  # type: ignore[arg-type]
    print(out)
