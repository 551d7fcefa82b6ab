"""`cdvft apply`: predict every row of a file with a finished run."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cdvft_app.commands import STOPPED
from cdvft_app.commands.data import print_progress
from cdvft_app.commands.options import Json, RunSource, full_run_id, progress_bar

FILE_HELP = "CSV, TSV, JSON, JSONL, Parquet, .xlsx or .ods; or an image, a folder or a ZIP of images."
OUT_HELP = "Output: .csv, .tsv, .jsonl, .parquet or .xlsx. Default: FILE_predictions in the current folder."
Text = Annotated[list[str] | None, typer.Option(help="Column to read; twice for a pair.")]
Label = Annotated[str | None, typer.Option(help="Column of the labels, for a score.")]
Escape = Annotated[
    bool, typer.Option("--escape-formulas", help="In CSV, put an apostrophe before spreadsheet formulas.")
]
CONTINUES = "Continuing after {count:,} rows."
STOPPED_AFTER = "Stopped after {count:,} of {rows:,} rows. Run the same command to continue."
SPEED = "{speed:,.0f} rows per second"
NOT_READ = "not read: {reason}"


def apply(  # noqa: PLR0917 - typer passes options by name
    run: RunSource,
    file: Annotated[Path, typer.Argument(metavar="FILE", help=FILE_HELP)],
    out: Annotated[Path | None, typer.Option(help=OUT_HELP)] = None,
    text: Text = None,
    label: Label = None,
    escape_formulas: Escape = False,
    as_json: Json = False,
) -> None:
    """Predict every row of a file, and write it with the predictions as added columns.

    If the file has labels, a score is printed. Ctrl-C stops; the same command continues.
    """
    from cdvft_app.data.answered_file import read_unlabelled
    from cdvft_app.data.source import LIMITS
    from cdvft_app.results.batch import WRITERS, BatchJob, columns_for, require_writable, separator_of
    from cdvft_app.results.exported_folder import open_run
    from cdvft_app.results.exporters import atomic_output
    from cdvft_app.store.runs import RunStore

    stem = file.with_suffix("").stem if file.suffix.lower() == ".gz" else file.stem
    ending = file.suffix.lower() if file.suffix.lower() in WRITERS else ".csv"
    out = out or Path(f"{stem}_predictions{ending}")
    require_writable(out)
    found = open_run(RunStore.default(), full_run_id(run), print_progress)
    with atomic_output(out) as made, tempfile.TemporaryDirectory(prefix="cdvft-") as work:
        table = read_unlabelled(file, Path(work), LIMITS, print_progress)
        columns = columns_for(found, table.columns, table.kind, inputs=text or (), label=label)
        job = BatchJob(found, Path(work), table.sha256, columns, out.with_name(f".{out.name}.parts"))

        from cdvft_app.results.predictor import Predictor
        from cdvft_app.training.device import device_kind

        predictor = Predictor.load([found], print_progress).to(device_kind())
        began, first, count = time.monotonic(), None, 0
        try:
            with progress_bar("Predicting", table.rows) as bar:
                for count in job.predict(predictor):
                    if first is None and count:
                        typer.echo(CONTINUES.format(count=count), err=True)
                    first = count if first is None else first
                    bar.update(bar.task_ids[0], completed=count)
        except KeyboardInterrupt:
            typer.echo(STOPPED_AFTER.format(count=count, rows=table.rows), err=True)
            raise typer.Exit(STOPPED) from None
        seconds = time.monotonic() - began
        report = job.report(predictor.task.labels)
        job.write(made, separator_of(table.separator), escape_formulas)
    job.remove()
    not_read = table.row_errors.sentences()
    if as_json:
        values = asdict(report) | {"out": str(out), "seconds": round(seconds, 3), "not_read": not_read}
        print(json.dumps(values | {"inputs": columns.inputs}))
        return
    print(out)
    for line in report.sentences:
        print(line)
    for reason in not_read:
        print(NOT_READ.format(reason=reason))
    if count > (first or 0):
        print(SPEED.format(speed=(count - (first or 0)) / max(seconds, 1e-9)))
