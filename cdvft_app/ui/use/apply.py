"""A file of a visitor's answered by one of the race's runs, and given back with the answers."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr

from cdvft_app.catalog.uploaded import IMAGE
from cdvft_app.data.answered_file import read_unlabelled_in_child
from cdvft_app.data.read_file import without_gz
from cdvft_app.data.source import limits
from cdvft_app.data.spreadsheets import SPREADSHEETS
from cdvft_app.data.zip_file import PICTURES, TABLES
from cdvft_app.errors import UserError
from cdvft_app.format import exact_duration
from cdvft_app.public import intake
from cdvft_app.results.answering import PARTS, Answering
from cdvft_app.results.batch import WRITERS, BatchJob, Columns, Report, columns_for, separator_of
from cdvft_app.results.finished_run import ResultsError, find, prepare
from cdvft_app.settings.environment import environment
from cdvft_app.ui.shared import files
from cdvft_app.ui.shared.controls import html
from cdvft_app.ui.shared.listeners import QUIET
from cdvft_app.ui.shared.pool import SessionStreams
from cdvft_app.ui.shared.problem import problem, status
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.viewing import visitor

ENDINGS = (*TABLES, ".json", ".jsonl", ".ndjson", ".parquet", ".gz", ".zip", *SPREADSHEETS, *PICTURES)
UPDATE_SECONDS = 0.25
LEFT = "Stopped because another run was chosen. Choose the previous run to continue."
SPENT = "answering of files"
ONE_FILE_AT_A_TIME: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "apply"}
NO_TIME = "Your time on this server is used up. What was answered is kept for an hour: go on then."


def answering_of_files(app: AppState) -> Answering:
    """Return what answers files, in a process of its own, so that no question waits for a file."""
    return Answering(app.store, lambda: app.queue.budget.spending(visitor(), SPENT))


def within_budget(app: AppState, answers: Generator[Any, None, None]) -> Iterator[Any]:
    """The items of an answer, until the visitor's time on this server is used up.

    Raises:
        ResultsError: it is.
    """
    left, began = app.queue.budget.left(visitor()), time.monotonic()
    with closing(answers):
        for item in answers:
            yield item
            if left is not None and time.monotonic() - began > left:
                raise ResultsError(NO_TIME)


def build(app: AppState, answering: Answering, run: gr.Radio) -> gr.events.Dependency:
    """Lay the part out: `run` says which one answers. Returns the event that answers a file."""
    streams = SessionStreams(answering)

    html(
        "<h3>Batch prediction</h3><p class='hint'>Predicts and scores the rows of a file.</p>",
    )
    file = gr.File(label="File", file_types=[*ENDINGS], elem_id="use-apply-file", height=120)
    opened = gr.State(None)
    with gr.Column(visible=False) as fields:
        read = gr.Dropdown(
            [], multiselect=True, max_choices=2, label="Column to read", elem_id="use-apply-read"
        )
        label = gr.Dropdown(
            [], label="Column of labels", info="If it has one: for a score.", elem_id="use-apply-label"
        )
        ending = gr.Dropdown([*WRITERS], label="Format", elem_id="use-apply-as")
        with gr.Row(elem_classes=["go-buttons"]):
            start = gr.Button("Predict the file", elem_id="use-apply-start")
            stop = gr.Button("Stop", interactive=False, elem_id="use-apply-stop")
    said = html(elem_id="use-apply-said")
    answered = gr.File(label="Answered file", interactive=False, visible=False, elem_id="use-apply-answered")

    def open_file(given: object, run_id: object, progress: Any = gr.Progress()) -> list[Any]:  # noqa: B008
        hidden = gr.update(visible=False)
        if not isinstance(given, str):
            return [None, hidden, *[gr.skip()] * 3, "", hidden]
        try:
            path, read_rows = Path(given), []

            def read_into(folder: Path) -> None:
                with intake.slot(app.queue.budget, visitor()):
                    read_rows.append(
                        read_unlabelled_in_child(
                            path, folder, limits(), lambda fraction, text: progress(fraction, desc=text)
                        )
                    )

            folder = files.rows_folder(read_into)
            (kept,) = read_rows
            names = [name for name in kept.columns if kept.kind != "image" or name != IMAGE]
            try:
                columns, question = columns_for(find(app.store, run_id), kept.columns, kept.kind), ""
            except ResultsError as error:
                columns, question = Columns((), None), str(error)
        except UserError as error:
            return [None, hidden, *[gr.skip()] * 3, problem(str(error)), hidden]
        own = without_gz(path).suffix.lower()
        faults = kept.row_errors.sentences()
        found = f"{kept.rows:,} rows." if not question else question.partition(" Say what")[0]
        return [
            {"path": str(path), "folder": str(folder), "sha256": kept.sha256, "rows": kept.rows,
             "columns": kept.columns, "kind": kept.kind, "separator": separator_of(kept.separator)},
            gr.update(visible=True),
            gr.update(
                choices=names,
                value=[one for one in columns.inputs if one in names],
                visible=kept.kind != "image",
            ),
            gr.update(choices=[("None", ""), *((name, name) for name in names)], value=columns.label or ""),
            own if own in WRITERS else ".csv",
            _sentences([found, *(f"Left out: {one}" for one in faults)]),
            hidden,
        ]  # fmt: skip

    file.change(
        open_file, [file, run], [opened, fields, read, label, ending, said, answered],
        concurrency_limit=16, concurrency_id="data", api_visibility="private", show_progress_on=said,
    )  # fmt: skip

    def answering_of(
        given: dict[str, Any], run_id: object, wanted: Sequence[str], of_labels: str, to: str
    ) -> Generator[tuple[str, Path | None], None, None]:
        """Yield sentences on the progress, and at the end a summary with the file."""
        found = find(app.store, run_id)
        inputs = wanted if isinstance(wanted, list) else []
        columns = columns_for(found, given["columns"], given["kind"], inputs=inputs, label=of_labels or None)
        prepare(found)
        folder, total, done = Path(given["folder"]), given["rows"], 0
        columns = Columns(columns.inputs, columns.label if of_labels else None)
        began, first, told = time.monotonic(), None, 0.0
        asked: dict[str, Any] = {"inputs": columns.inputs, "label": columns.label}
        asked |= {"run_id": found.record.id, "folder": str(folder), "sha256": given["sha256"]}
        report: Report | None = None
        for item in within_budget(app, answering.stream("apply", **asked)):
            if isinstance(item, Report):
                report = item
                continue
            done, first = item, item if first is None else first
            if time.monotonic() - told < UPDATE_SECONDS:
                continue
            told = time.monotonic()
            os.utime(folder.parent)  # folders are removed after an hour
            per_row = (told - began) / (done - first) if done > first else None
            left = f", {exact_duration((total - done) * per_row)} left" if per_row else ""
            yield f"{done:,} of {total:,} rows{left}.", None
        if report is None:
            yield f"Stopped after {done:,} of {total:,} rows. Predict again to continue.", None
            return
        job = BatchJob(found, folder, given["sha256"], columns, folder / PARTS)
        name = f"{without_gz(Path(given['path'])).stem} predictions{to}"
        # Predictions may be names that strangers gave to classes.
        made = files.export(name, lambda out: job.write(out, given["separator"], environment().public))
        yield _summary(report), made

    async def answer(  # noqa: PLR0917 - Gradio hands arguments over by their places
        given: object, run_id: object, wanted: list[str], of_labels: str, to: str, request: gr.Request
    ) -> AsyncIterator[list[Any]]:
        hidden = gr.update(visible=False)
        if not isinstance(given, dict) or to not in WRITERS:
            yield [problem("Choose a file first."), hidden, gr.skip(), gr.skip()]
            return
        begun = [gr.update(interactive=False), gr.update(interactive=True)]
        try:
            with streams.of(request, answering_of(given, run_id, wanted, of_labels, to)) as items:
                yield [status("Getting the model ready …"), hidden, *begun]
                async for text, made in items:
                    shown = gr.skip() if made is None else gr.update(value=str(made), visible=True)
                    yield [status(text) if made is None else text, shown, gr.skip(), gr.skip()]
        except UserError as error:
            yield [problem(str(error)), hidden, gr.skip(), gr.skip()]

    # Only once the answer has ended: until then Gradio passes a click over, and going on would be lost.
    running = start.click(
        answer, [opened, run, read, label, ending], [said, answered, start, stop],
        **ONE_FILE_AT_A_TIME, api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    for ended in (running.then, running.failure):
        ended(
            lambda: [gr.update(interactive=True), gr.update(interactive=False)], None, [start, stop], **QUIET
        )

    stop.click(streams.stop_own, None, None, **QUIET)

    def left(request: gr.Request) -> list[Any]:
        return [status(LEFT) if streams.answers(request) else "", gr.update(visible=False)]

    run.change(left, None, [said, answered], **QUIET)
    return running


def _sentences(given: Sequence[str]) -> str:
    return "".join(map(status, given[:20]))


def _summary(report: Report) -> str:
    return "".join(map(status, report.sentences))
