"""`python -m cdvft_app predict`: what a finished run answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cdvft_app.commands.options import RunId
from cdvft_app.commands.train import Json
from cdvft_app.results import inputs
from cdvft_app.results.errors import ResultsError
from cdvft_app.results.finished_run import find, load
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
