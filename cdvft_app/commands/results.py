"""`python -m cdvft_app predict`, `export` and `push`: what a finished run answers, and where it is taken."""

from __future__ import annotations

import json
import tempfile
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from cdvft_app.commands.data import print_progress
from cdvft_app.commands.options import Json, RunId, hub_token
from cdvft_app.results import inputs
from cdvft_app.results.exporters import AS_TRAINED, DEFAULT_RANK, EXPORTERS, ZIP, Export, base_note
from cdvft_app.results.finished_run import ResultsError, find, load
from cdvft_app.store.runs import RunStore

Text = Annotated[list[str] | None, typer.Option(help="A text; may be given several times.")]
Second = Annotated[
    list[str] | None, typer.Option(help="The other text of a pair, for runs that compare two.")
]
Image = Annotated[list[Path] | None, typer.Option(help="An image file; may be given several times.")]
File = Annotated[Path | None, typer.Option(help="A CSV file with the column text (and second), or image.")]


def predict(
    run_id: RunId,
    *,
    text: Text = None,
    second: Second = None,
    image: Image = None,
    file: File = None,
    as_json: Json = False,
) -> None:
    """Answer texts or images with what a run learned. With --json, one line of JSON an input."""
    run = find(RunStore.default(), run_id)
    named_inputs: list[tuple[str, Any]] = []
    if text:
        named_inputs += zip(text, inputs.texts(run, text, second or []), strict=True)
    for path in image or []:
        named_inputs.append((str(path), inputs.picture_file(run, path)))
    if file:
        named_inputs += ((f"row {place}", one) for place, one in enumerate(inputs.table(run, file), 1))
    if not named_inputs:
        raise ResultsError("There is nothing to answer; give --text, --image or --file.")

    task, _ = load(run)
    for (name, _), answer in zip(named_inputs, task.predict([one for _, one in named_inputs]), strict=True):
        of_labels = dict(zip(task.labels, answer.probabilities, strict=False))
        if as_json:
            result: dict[str, Any] = (
                {"value": answer.value} if answer.label is None else {"label": answer.label}
            )
            if answer.text is not None:
                result = {"text": answer.text, "fields": answer.fields}
            print(json.dumps({"input": name, **result, "probabilities": of_labels}))
        elif answer.text is not None:
            print(f"{name}\n{answer.text}\n")
        elif answer.label is None:
            print(f"{answer.value:.4f}\t{name}")
        else:
            print(f"{answer.label}\t{of_labels[answer.label]:.4f}\t{name}")


TO_ZIP = "zip"
"""Beside the exporters: as it was trained, in one file."""


def _formats() -> dict[str, list[str]]:
    """Return the options that write each format, by the format's description."""
    found: dict[str, list[str]] = {}
    for one in EXPORTERS.values():
        found.setdefault(one.help, []).extend([one.option, TO_ZIP] if one is AS_TRAINED else [one.option])
    return found


To = Enum("To", {name: name for names in _formats().values() for name in names}, type=str)  # type: ignore[misc]
HELP = " ".join(f"{' or '.join(names)}: {what}." for what, names in _formats().items())
Rank = Annotated[int, typer.Option(min=1, help="Of LoRA; a higher one keeps more of what was learned.")]
What = Annotated[To, typer.Option("--to", help=HELP)]


def export(
    run_id: RunId,
    to: What,
    out: Annotated[
        Path, typer.Option(help="Where it is written: a zip if it ends in .zip, else a folder. Must be new.")
    ],
    rank: Rank = DEFAULT_RANK,
) -> None:
    """Write a finished run so that others can load it, with a model card.

    `--to zip` adds .zip to a name that lacks it.
    """
    store = RunStore.default()
    wanted = Export(store, find(store, run_id), rank)
    by_option = {one.option: one for one in EXPORTERS.values()} | {TO_ZIP: AS_TRAINED}
    chosen = by_option[to.value]
    if chosen.is_adapter and (note := base_note(wanted.run)):
        typer.echo(note, err=True)
    if to.value == TO_ZIP and out.suffix.lower() != ZIP:
        out = Path(f"{out}{ZIP}")
    chosen.write_as_named(wanted, out, print_progress)
    print(out)


def push(
    run_id: RunId,
    repository: Annotated[str, typer.Argument(help="owner/name on the hub; made where there is none.")],
    private: Annotated[bool, typer.Option(help="Let nobody else see a repository that is made.")] = True,
) -> None:
    """Publish a finished run on the hub, with the token in HF_TOKEN, or that of `hf auth login`."""
    store = RunStore.default()
    run = find(store, run_id)
    token = hub_token()
    if not token:
        raise ResultsError(
            "There is no token; set HF_TOKEN to one with the right to write, or `hf auth login`."
        )

    from cdvft_app.results.hub import push as upload

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        AS_TRAINED.write_folder(Export(store, run), out)
        print(upload(out, repository, token, private))
