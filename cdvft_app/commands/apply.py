"""`python -m cdvft_app apply`: a file answered by a finished run, row by row."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cdvft_app.commands import STOPPED
from cdvft_app.commands.data import print_progress
from cdvft_app.commands.options import Json, RunId, progress_bar
from cdvft_app.data.answered_file import ANSWERS, Answers, read_unlabelled, require_writable, write_answered
from cdvft_app.data.source import LIMITS
from cdvft_app.results.exporters import atomic_output
from cdvft_app.results.finished_run import find
from cdvft_app.store.runs import RunStore

FILE_HELP = (
    "Rows to answer: CSV, TSV, JSON, JSONL, Parquet, .xlsx or .ods; a picture, a folder or a zip of them."
)
OUT_HELP = "Where it is written; its ending says how: .csv, .tsv, .jsonl, .json, .parquet, .xlsx or .ods."
Text = Annotated[
    list[str] | None,
    typer.Option(help="Column to read where it has another name than in training; for a pair twice."),
]
Label = Annotated[str | None, typer.Option(help="Column of the labels, for a score.")]
Escaped = Annotated[
    bool,
    typer.Option(
        "--escape-formulas", help="In CSV, put an apostrophe before what a spreadsheet takes for a formula."
    ),
]


def apply(
    run_id: RunId,
    *,
    file: Annotated[Path, typer.Option(help=FILE_HELP)],
    out: Annotated[Path, typer.Option(help=OUT_HELP)],
    text: Text = None,
    label: Label = None,
    escape_formulas: Escaped = False,
    as_json: Json = False,
) -> None:
    """Answer each row of a file with what a run learned, and give the file back with the answers.

    Ctrl-C stops it; the same command goes on from there. Where the file has labels, a score is told.
    """
    run = find(RunStore.default(), run_id)
    require_writable(out)
    answers_file = out.with_name(f".{out.name}.{ANSWERS}")
    with atomic_output(out) as made, tempfile.TemporaryDirectory(prefix="cdvft-") as work:
        folder = Path(work)
        kept = read_unlabelled(file, folder, LIMITS, print_progress)

        from cdvft_app.results import apply as applying
        from cdvft_app.results.inference import load_side_by_side
        from cdvft_app.training.device import device_kind

        columns = applying.columns_for(run, kept.columns, kept.kind, inputs=text or (), label=label)
        answers = Answers(answers_file, applying.about(run, kept.sha256, columns))
        if answers.count:
            typer.echo(f"Going on after {answers.count:,} rows that are answered already.", err=True)
        models = load_side_by_side([run], print_progress).to(device_kind())
        began, before = time.monotonic(), answers.count
        try:
            with progress_bar("Answering", kept.rows) as bar:
                for count in applying.answer_rows(run, models, folder, columns, answers):
                    bar.update(bar.task_ids[0], completed=count)
        except KeyboardInterrupt:
            typer.echo(
                f"Stopped after {answers.count:,} of {kept.rows:,} rows; the same command goes on.", err=True
            )
            raise typer.Exit(STOPPED) from None
        seconds = time.monotonic() - began
        written = write_answered(
            file, made, folder, answers, inputs=columns.inputs, added=applying.added_columns(run, columns),
            limits=LIMITS, escaped=escape_formulas, progress=print_progress,
        )  # fmt: skip
        score = applying.score_of(run, models.task.labels, answers, kept.sha256)
    answers.remove()
    faults = kept.row_errors
    if as_json:
        found: dict[str, Any] = {**asdict(written), "out": str(out), "seconds": round(seconds, 3)}
        found |= {"inputs": columns.inputs, "label": columns.label, "not_read": faults.sentences()}
        print(json.dumps({**found, "score": score and asdict(score)}))
        return
    print(f"{written.answered:,} of {written.rows:,} rows answered, in {out}")
    if written.rows > before and seconds:
        print(f"{(written.rows - before) / seconds:,.0f} rows a second")
    for fault in faults.sentences():
        print(f"not in it: {fault}")
    for reason in written.unanswered:
        print(f"not answered: {reason}")
    if said := applying.score_sentence(score, columns.label):
        print(said)
    for reason in written.unscored:
        print(f"not scored: {reason}")
    for one in written.wrong[:5] if score else ():
        read = f": {one.read[:80]}" if one.read else ""
        print(f"  row {one.row}: {one.answer[:60]}, not {one.expected[:60]}{read}")
