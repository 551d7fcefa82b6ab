"""`python -m cdvft_app push`: a finished run, published."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cdvft_app.commands.options import RunId
from cdvft_app.results.errors import ResultsError
from cdvft_app.results.exporters import AS_TRAINED, Export
from cdvft_app.results.finished_run import find
from cdvft_app.store.runs import RunStore


def push(
    run_id: RunId,
    repository: Annotated[str, typer.Argument(help="owner/name on the hub; made where there is none.")],
    private: Annotated[bool, typer.Option(help="Let nobody else see a repository that is made.")] = True,
) -> None:
    """Publish a finished run on the hub, with the token in HF_TOKEN, or that of `hf auth login`."""
    store = RunStore.default()
    run = find(store, run_id)
    from huggingface_hub import get_token

    token = os.environ.get("HF_TOKEN") or get_token()
    if not token:
        raise ResultsError(
            "There is no token; set HF_TOKEN to one with the right to write, or `hf auth login`."
        )

    from cdvft_app.results.hub import push as upload

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        AS_TRAINED.write_folder(Export(store, run), out)
        print(upload(out, repository, token, private))
