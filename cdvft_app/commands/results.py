"""`cdvft predict`, `export` and `push`: predictions of a finished run, and its files."""

from __future__ import annotations

import json
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cdvft_app.commands.data import print_progress
from cdvft_app.commands.options import Json, RunId, RunSource, full_run_id, hub_token
from cdvft_app.results.exported_folder import open_run
from cdvft_app.results.exporters import AS_TRAINED, DEFAULT_RANK, EXPORTERS, ZIP, Export, base_note, file_name
from cdvft_app.results.finished_run import ResultsError, find
from cdvft_app.store.runs import RunStore

Texts = Annotated[list[str] | None, typer.Argument(metavar="[TEXT]...", help="Texts, or paths of images.")]
Second = Annotated[list[str] | None, typer.Option(help="The second text of a pair, one per text.")]
NOTHING_TO_PREDICT = "Pass a text, or the path of an image."
NO_TOKEN = "No token found. Set HF_TOKEN to a token with write access, or run `hf auth login`."


def predict(run: RunSource, text: Texts = None, second: Second = None, as_json: Json = False) -> None:
    """Predict texts or images with a finished run. --json prints one line per input."""
    from cdvft_app.results import inputs
    from cdvft_app.results.predictor import Predictor

    if not text:
        raise ResultsError(NOTHING_TO_PREDICT)
    found = open_run(RunStore.default(), full_run_id(run), print_progress)
    if found.plan.model.kind == "image":
        given = [inputs.picture_file(found, Path(path)) for path in text]
    else:
        given = inputs.texts(found, text, second or [])
    predictor = Predictor.load([found], print_progress)
    for name, one in zip(text, predictor.predict(found.record.id, given), strict=True):
        shares = dict(zip(predictor.task.labels, one.probabilities, strict=False))
        if as_json:
            result: dict[str, Any] = {"value": one.value} if one.label is None else {"label": one.label}
            if one.text is not None:
                result = {"text": one.text, "fields": one.fields}
            print(json.dumps({"input": name, **result, "probabilities": shares}))
        elif one.text is not None:
            print(f"{name}\n{one.text}\n")
        elif one.label is None:
            print(f"{one.value:.4f}\t{name}")
        else:
            print(f"{one.label}\t{shares[one.label]:.4f}\t{name}")


To = StrEnum("To", [(one.option, one.option) for one in EXPORTERS.values()])  # type: ignore[misc]
HELP = " ".join(f"{one.option}: {one.help}." for one in EXPORTERS.values())
Out = Annotated[
    Path | None,
    typer.Option(help="A folder, or a ZIP if it ends in .zip. Must not exist. Default: named after the run."),
]


def export(
    run: RunId,
    to: Annotated[To, typer.Option(help=HELP)] = To[AS_TRAINED.option],
    out: Out = None,
    rank: Annotated[int, typer.Option(min=1, help="Rank of the LoRA adapter.")] = DEFAULT_RANK,
) -> None:
    """Export a finished run for use elsewhere, with a model card."""
    store = RunStore.default()
    request = Export(store, find(store, run), rank)
    chosen = next(one for one in EXPORTERS.values() if one.option == to.value)
    if chosen.is_adapter and (note := base_note(request.run)):
        typer.echo(note, err=True)
    out = out or Path(file_name(request.run, chosen.key).removesuffix(ZIP))
    chosen.write_as_named(request, out, print_progress)
    print(out)


def push(
    run: RunId,
    repository: Annotated[str, typer.Argument(help="Hub repository, owner/name. Created if needed.")],
    private: Annotated[bool, typer.Option(help="Create it as a private repository.")] = True,
) -> None:
    """Publish a finished run on the Hugging Face Hub, with HF_TOKEN or the token of `hf auth login`."""
    store = RunStore.default()
    found = find(store, run)
    token = hub_token()
    if not token:
        raise ResultsError(NO_TOKEN)

    from cdvft_app.results.hub import push as upload

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        AS_TRAINED.write_folder(Export(store, found), out)
        print(upload(out, repository, token, private))
