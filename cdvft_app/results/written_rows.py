"""The held-out prompts of models that write: which to show, and what each run wrote to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cdvft_app.catalog.entries import DatasetEntry
from cdvft_app.catalog.rows import Split
from cdvft_app.metrics import METRICS, measure_each_text
from cdvft_app.metrics.fields import wrong_fields
from cdvft_app.results.errors import ResultsError
from cdvft_app.results.finished_run import FinishedRun
from cdvft_app.store import written_answers
from cdvft_app.store.written_answers import WrittenAnswers, WrittenRow

if TYPE_CHECKING:
    from cdvft_app.results.side_by_side import SideBySide

MOST_ANSWERED = 128
"""Prompts that are answered afterwards: what `answering.PATIENCE` has time for."""


def answer(run: FinishedRun, models: SideBySide, held_out: Split, out: Path) -> int:
    """Answer at the first rows and write the answers into the folder `out`; returns how many were answered.

    Raises:
        ResultsError: they could not be kept.
    """
    prompts = [str(held_out.inputs[place]) for place in range(min(len(held_out), MOST_ANSWERED))]
    expected = [str(label) for label in held_out.labels[: len(prompts)]]
    written = [one.text or "" for one in models.answers(run.record.id, prompts)]
    scores = measure_each_text(written, expected, run.plan.dataset)
    rows = zip(prompts, expected, written, scores, strict=True)
    entries = [
        WrittenRow(row=place, prompt=prompt, expected=right, written=text, scores=of_row)
        for place, (prompt, right, text, of_row) in enumerate(rows)
    ]
    try:
        return written_answers.write(out, entries)
    except OSError as error:
        raise ResultsError(f"The answers could not be kept: {error.strerror or error}.") from error


def chosen(show: str, first: WrittenAnswers, second: WrittenAnswers | None = None) -> np.ndarray:
    """Places in `first` of the rows to show: of its mistakes the worst first, else as they were loaded.

    `disagree`: rows that it or `second`, which has answered the same rows, alone got right.
    """
    places = np.arange(len(first.entries))
    if show == "mistakes":
        wrong = places[~first.correct]
        return wrong[np.argsort(_score(first)[wrong], kind="stable")]
    if show == "right":
        return places[first.correct]
    if show == "disagree" and second is not None:
        return places[first.correct != second.correct]
    return places


def _score(answers: WrittenAnswers) -> np.ndarray:
    """(N) the finest score that there is of each row."""
    kept = set(METRICS).intersection(*(one.scores for one in answers.entries))
    graded = [name for name in kept if not METRICS[name].percent]
    return answers.scores(graded[0] if graded else "exact_match")


def table_rows(
    answers: Sequence[WrittenAnswers], places: np.ndarray, dataset: DatasetEntry
) -> list[dict[str, Any]]:
    """Rows of the page's table: {"row", "prompt", "expected", "answers": [{"text", "correct", "wrong"}]}.

    `wrong` are the fields that are otherwise than in the right answer.
    """
    return [
        {
            "row": first.row,
            "prompt": first.prompt,
            "expected": first.expected,
            "answers": [_cell(one.entries[place], dataset.fields) for one in answers],
        }
        for place in places
        for first in (answers[0].entries[place],)
    ]


def _cell(one: WrittenRow, fields: Sequence[str]) -> dict[str, Any]:
    return {
        "text": one.written,
        "correct": one.scores["exact_match"] == 1,
        "wrong": list(wrong_fields(one.written, one.expected, fields)),
    }


def mistakes_by_field(answers: WrittenAnswers, fields: Sequence[str]) -> dict[str, int]:
    """In how many rows each field is otherwise than in the right answer."""
    wrong = [name for one in answers.entries for name in wrong_fields(one.written, one.expected, fields)]
    return {name: wrong.count(name) for name in fields}
