"""`python -m cdvft_app.ui.static`: what `make static` runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported

import typer

from cdvft_app.ui.static.folder import write

FOLDER = Path("build/static")


def main(
    folder: Annotated[Path, typer.Argument(help="Where; what it wrote before is replaced.")] = FOLDER,
    studio: Annotated[
        str, typer.Option(envvar="STUDIO", help="Address of a running studio, to which figures link.")
    ] = "",
) -> None:
    """Write the studio as a folder of plain files, which any file server shows."""
    try:
        size = write(folder, studio or None)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    typer.echo(f"Wrote {folder}, {size / 1e6:.1f} MB. Open {folder / 'index.html'}, or serve the folder.")


if __name__ == "__main__":
    typer.run(main)
