"""Serve the page from the command line."""

from __future__ import annotations

import gc
import os
from typing import Annotated

import typer

PORT = "Otherwise GRADIO_SERVER_PORT, or the first that is free from 7860."
HOST = "Otherwise GRADIO_SERVER_NAME, or this machine alone; 0.0.0.0 is everybody."


def serve(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help=PORT)] = None,
    host: Annotated[str | None, typer.Option(help=HOST)] = None,
) -> None:
    """Serve the page: train, compare, use, look into factors, learn."""
    given = {"GRADIO_SERVER_PORT": port, "GRADIO_SERVER_NAME": host}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    gc.disable()  # as in app.py
    from cdvft_app.ui.serving import main  # imports gradio, which no other command needs

    main()
