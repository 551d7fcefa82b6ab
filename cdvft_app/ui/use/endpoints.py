"""Named endpoints of this tab: /predict, /export and /apply."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from gradio import FileData

from cdvft_app.data.answered_file import read_unlabelled_in_child
from cdvft_app.data.pictures import as_png_in_child
from cdvft_app.data.source import limits
from cdvft_app.errors import UserError
from cdvft_app.public import intake
from cdvft_app.results import inputs
from cdvft_app.results.answering import MAX_RUNS, PARTS, Answering
from cdvft_app.results.batch import BatchJob, columns_for
from cdvft_app.results.exporters import AS_TRAINED, DEFAULT_RANK, EXPORTERS, exporter, file_name
from cdvft_app.results.finished_run import ResultsError, find
from cdvft_app.ui.shared import files
from cdvft_app.ui.shared.files import as_file, rows_or_file
from cdvft_app.ui.shared.named_endpoint import named_endpoint
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.viewing import acting_as, visitor
from cdvft_app.ui.use.apply import ONE_FILE_AT_A_TIME, within_budget

MAX_TEXTS = 100
To = Literal[tuple(EXPORTERS)]  # type: ignore[valid-type]


def register(app: AppState, answering: Answering, of_files: Answering) -> None:
    """Add the endpoints to the Blocks that are being built; `of_files` answers whole files."""

    def predict(
        run_ids: list[str],
        texts: list[str] | None = None,
        second: list[str] | None = None,
        token: str = "",
        image: str | None = None,
    ) -> dict[str, Any]:
        """Return what finished runs of one race answer, and the frozen model with the first head.

        Args:
            run_ids: of one race.
            texts: what races on texts are asked, 100 at most.
            second: one for each of the texts, where two are compared.
            token: that start gave, for private runs.
            image: in place of texts for races on images: a file's bytes in base64.
        """
        if not (isinstance(run_ids, list) and 1 <= len(run_ids) <= MAX_RUNS):
            raise UserError(f"run_ids: give a list of 1 to {MAX_RUNS} runs of one race.")
        for given in (texts, second):
            if given is not None and not (isinstance(given, list) and 1 <= len(given) <= MAX_TEXTS):
                raise UserError(f"texts: give a list of 1 to {MAX_TEXTS} texts.")
        if not _are_texts([*(texts or []), *(second or [])]):
            raise UserError("texts: each must be a text.")
        if not _are_texts(run_ids):
            raise UserError("run_ids: each is the id of a run, a text.")
        if (texts is None) == (image is None):
            raise UserError("Give either texts or an image.")
        about = {"texts": texts or [], "second": second or [], "image": _image(image)}
        with acting_as(token):
            return answering.ask("answer", run_ids=run_ids, **about)

    def export(
        run_id: str,
        to: To = AS_TRAINED.key,  # type: ignore[valid-type]
        rank: int = DEFAULT_RANK,
        token: str = "",
    ) -> FileData:
        """Return a finished run as a zip, in one of several formats.

        Args:
            run_id: one that start gave.
            to: FORMATS.
            rank: of lora.
            token: that start gave, for a private run.
        """
        exporter(to)
        if isinstance(rank, bool) or not isinstance(rank, int):
            raise UserError("rank: it is a whole number.")
        if not isinstance(run_id, str):
            raise UserError("run_id: give the id of a finished run, a text.")
        asked = {"run_id": run_id, "to": to, "rank": rank}
        with acting_as(token):
            name = file_name(find(app.store, run_id), to)
            out = files.export(name, lambda out: answering.ask("export", **asked, out=str(out)))
        return FileData(path=str(out), orig_name=out.name)  # as a mere path it would not be sent

    def apply(  # noqa: PLR0917 - Gradio hands arguments over by their places
        run_id: str,
        rows: str = "",
        file: str = "",
        text: list[str] | None = None,
        label: str = "",
        token: str = "",
    ) -> dict[str, Any]:
        """Return what a finished run answers to each row of a file, and its score where the rows have labels.

        Args:
            run_id: of a finished run.
            rows: the text of a CSV, TSV or JSONL file, of at most 400,000 characters.
            file: in place of rows, any file that is read here: its bytes in base64.
            text: the column to read, or the two of a pair, where they have other names than in training.
            label: the column of the labels, where it has another name.
            token: that start gave, for a private run.

        Returns:
            answers, one for each row that could be read, each with the row's number, its prediction (null if
            it has none), confidence, and correct, error or a score beside the label; the score; the rows that
            were skipped, with the reason; and why rows could not be read (not_read).
        """
        columns = text or []
        if not isinstance(columns, list) or not _are_texts([*columns, label, run_id, rows, file]):
            raise UserError("text is a list of columns; run_id, rows, file and label are each a text.")
        content = rows_or_file(rows, file)
        with acting_as(token), tempfile.TemporaryDirectory(prefix="cdvft-") as work:
            run = find(app.store, run_id)
            with as_file(None, content, None) as source, intake.slot(app.queue.budget, visitor()):
                kept = read_unlabelled_in_child(source, Path(work), limits())
            found = columns_for(run, kept.columns, kept.kind, inputs=columns, label=label or None)
            asked: dict[str, Any] = {"inputs": found.inputs, "label": found.label, "folder": work}
            asked |= {"run_id": run_id, "sha256": kept.sha256}
            *_, report = within_budget(app, of_files.stream("apply", **asked))
            rows_of_file = BatchJob(run, Path(work), kept.sha256, found, Path(work) / PARTS)
            answers = rows_of_file.predictions()
        score = report.score
        return {
            "answers": answers,
            "skipped": [asdict(one) for one in report.skipped],
            "score": score and {**asdict(score), "sentence": score.sentence},
            "not_read": kept.row_errors.sentences(),
        }

    assert export.__doc__ is not None
    *keys, last = EXPORTERS
    export.__doc__ = export.__doc__.replace("FORMATS", f"{', '.join(keys)} or {last}")
    for call in (predict, export):
        named_endpoint(call, concurrency_limit=1, concurrency_id="use")
    named_endpoint(apply, **ONE_FILE_AT_A_TIME)


def _are_texts(given: list[Any]) -> bool:
    return all(isinstance(one, str) for one in given)


def _image(given: object) -> bytes | None:
    if given is None:
        return None
    if not isinstance(given, str):
        raise UserError("image: give the bytes of an image file in base64.")
    return own_picture(inputs.decoded(given))


def own_picture(data: bytes) -> bytes:
    """Return a picture that somebody gave as a PNG made here of its pixels.

    Raises:
        ResultsError: why it cannot be used.
    """
    if len(data) > inputs.MAX_BYTES:
        raise ResultsError(f"The image is too large; at most {inputs.MAX_BYTES // 2**20} MiB are read.")
    try:
        return as_png_in_child(data)
    except UserError as error:
        raise ResultsError(str(error)) from None
