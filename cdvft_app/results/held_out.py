"""The held-out rows that a race was evaluated on, beside what its runs answered or wrote, and how well.

Rows have a label, or are prompts to models that write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cdvft_app.catalog.conversations import transcript
from cdvft_app.catalog.dataset_readers import Split, load_rows
from cdvft_app.catalog.entries import DatasetEntry
from cdvft_app.data.pictures import as_png, thumbnail
from cdvft_app.metrics import METRICS, measure_each_text
from cdvft_app.metrics.fields import wrong_fields
from cdvft_app.results.finished_run import FinishedRun, ResultsError
from cdvft_app.store import predictions
from cdvft_app.store.predictions import Predictions, WrittenAnswers, WrittenRow
from cdvft_app.store.records import shortened

if TYPE_CHECKING:
    from cdvft_app.results.predictor import Predictor

MAX_PREDICTED, MAX_PROMPTS_PREDICTED = 1024, 128  # rows of a run that saved no predictions
NOT_SAVED = "The predictions cannot be saved: {error}."
DATA_CHANGED = "The data has changed since this race, so its rows cannot be shown."
MAX_CHARACTERS = 600
THUMBNAIL = 72  # pixels


def load(run: FinishedRun) -> Split:
    """Return the rows that the run was evaluated on.

    Raises:
        DownloadFailed: the data cannot be had any more.
    """
    settings = run.plan.settings
    assert settings.evaluation_examples is not None
    rows = load_rows(
        run.plan.dataset,
        train_examples=1,
        evaluation_examples=settings.evaluation_examples,
        seed=0,
        validation=settings.evaluate_on == "validation",
    )
    return rows.evaluation


def predict(run: FinishedRun, models: Predictor, held_out: Split, out: Path) -> int:
    """Predict the first rows and save the predictions in the folder `out`; return how many.

    Raises:
        ResultsError: They cannot be saved.
    """
    is_text = run.plan.model.kind == "generation"
    count = min(len(held_out), MAX_PROMPTS_PREDICTED if is_text else MAX_PREDICTED)
    inputs = [held_out.inputs[place] for place in range(count)]
    found = models.predict(run.record.id, inputs)
    try:
        if not is_text:
            outputs = np.array([one.probabilities or (one.value,) for one in found], dtype=np.float32)
            return predictions.write(out, np.arange(count), held_out.labels[:count], outputs)
        expected, texts = [*map(str, held_out.labels[:count])], [one.text or "" for one in found]
        rows = zip(inputs, expected, texts, measure_each_text(texts, expected, run.plan.dataset), strict=True)
        entries = [
            WrittenRow(row=place, prompt=prompt, expected=right, written=text, scores=scores)
            for place, (prompt, right, text, scores) in enumerate(rows)
        ]
        return predictions.write_answers(out, entries)
    except OSError as error:
        raise ResultsError(NOT_SAVED.format(error=error.strerror or error)) from error


def chosen(
    show: str, first: Predictions, second: Predictions | None = None, label: int | None = None
) -> np.ndarray:
    """Return places in `first` of the rows to show: the most confident first, or those furthest off.

    With `label`, only the rows of that class. `second` has answered the same rows.
    """
    regression = first.outputs.shape[1] == 1
    if regression:
        off = np.abs(residuals(first))
        apart = np.abs(first.outputs - second.outputs)[:, 0] if second else off
        order = {"mistakes": -off, "disagree": -apart, "right": off}.get(show, first.rows)
        return np.argsort(order, kind="stable")
    wanted = np.ones(len(first.rows), dtype=bool) if label is None else first.labels == label
    if show == "mistakes":
        wanted &= ~first.correct
    elif show == "right":
        wanted &= first.correct
    elif show == "disagree" and second is not None:
        wanted &= first.classes != second.classes
    order = first.rows if show == "all" else -first.outputs.max(-1)
    return np.array([place for place in np.argsort(order, kind="stable") if wanted[place]], dtype=np.int64)


def table_rows(held_out: Split, answers: Sequence[Predictions], places: np.ndarray) -> list[dict[str, Any]]:
    """Return rows of the page's table: {"row", "given", "image", "label", "answers"}.

    `given` is a text, a pair of texts as a list, or None beside an `image`, a small PNG as a data address.

    Raises:
        ResultsError: the data is not what it was when the race ran.
    """
    first = answers[0]
    if not (
        first.rows.max(initial=-1) < len(held_out) and np.allclose(held_out.labels[first.rows], first.labels)
    ):
        raise ResultsError(DATA_CHANGED)
    return [
        {
            "row": int(first.rows[place]),
            **_input_cell(held_out.inputs[int(first.rows[place])]),
            "label": first.labels[place].item(),
            "answers": [_answer_cell(one, place) for one in answers],
        }
        for place in places
    ]


def example(held_out: Split, labels: Sequence[str], place: int) -> dict[str, Any]:
    """Return one row as an input: {"row", "text", "second", "image", "label"}.

    `image` is a PNG's bytes; what the row does not have is None. `row` counts from 1.
    """
    one, label = held_out.inputs[place], held_out.labels[place]
    label_name = labels[int(label)] if labels else str(label)
    row: dict[str, Any] = {"row": place + 1, "text": None, "second": None, "image": None, "label": label_name}
    if isinstance(one, str):
        return row | {"text": one}
    if isinstance(one, tuple | list):
        return row | {"text": one[0], "second": one[1]}
    from PIL import Image

    return row | {"image": as_png(Image.fromarray(one) if isinstance(one, np.ndarray) else one)}


def _answer_cell(answers: Predictions, place: int) -> dict[str, Any]:
    outputs = answers.outputs[place]
    if len(outputs) == 1:
        return {"value": float(outputs[0])}
    return {"class": int(outputs.argmax()), "sure": float(outputs.max())}


def _input_cell(one: Any) -> dict[str, Any]:
    if isinstance(one, str):
        return {"given": shortened(one, MAX_CHARACTERS), "image": None}
    if isinstance(one, tuple | list):
        return {"given": [shortened(text, MAX_CHARACTERS) for text in one], "image": None}
    from PIL import Image

    picture = Image.fromarray(one) if isinstance(one, np.ndarray) else one.convert("RGB")
    return {"given": None, "image": thumbnail(picture, THUMBNAIL)}


def chosen_prompts(show: str, first: WrittenAnswers, second: WrittenAnswers | None = None) -> np.ndarray:
    """Return places in `first` of the rows to show: of its mistakes the worst first, else in their order.

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
    """Return (N) each row's score by the most finely graded metric that all rows have."""
    kept = set(METRICS).intersection(*(one.scores for one in answers.entries))
    graded = [name for name in kept if not METRICS[name].percent]
    return answers.scores(graded[0] if graded else "exact_match")


def prompt_rows(
    answers: Sequence[WrittenAnswers], places: np.ndarray, dataset: DatasetEntry
) -> list[dict[str, Any]]:
    """Return rows of the table: {"row", "prompt", "expected", "answers": [{"text", "correct", "wrong"}]}.

    `wrong` are the fields that differ from the right answer.
    """
    return [
        {
            "row": first.row,
            "prompt": transcript(first.prompt),
            "expected": first.expected,
            "answers": [_written_cell(one.entries[place], dataset.fields) for one in answers],
        }
        for place in places
        for first in (answers[0].entries[place],)
    ]


def _written_cell(one: WrittenRow, fields: Sequence[str]) -> dict[str, Any]:
    return {
        "text": one.written,
        "correct": one.scores["exact_match"] == 1,
        "wrong": list(wrong_fields(one.written, one.expected, fields)),
    }


def mistakes_by_field(answers: WrittenAnswers, fields: Sequence[str]) -> dict[str, int]:
    """Return, for each field, in how many rows it differs from the right answer."""
    wrong = [name for one in answers.entries for name in wrong_fields(one.written, one.expected, fields)]
    return {name: wrong.count(name) for name in fields}


@dataclass(frozen=True)
class ClassScore:
    """The scores of one class; None where nothing was to be counted.

    precision = right / answered, recall = right / rows, F1 = 2 right / (answered + rows).
    """

    rows: int
    answered: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Errors:
    """The errors of a regression, in the unit of its labels; an error is the answer minus the label."""

    mean_absolute: float
    root_mean_square: float
    mean: float


def confusion(answers: Predictions) -> np.ndarray:
    """Return (C, C) how many rows of each class (down) were given each answer (across)."""
    classes = answers.outputs.shape[1]
    counts = np.bincount(answers.labels * classes + answers.classes, minlength=classes**2)
    return counts.reshape(classes, classes)


def class_scores(counts: np.ndarray) -> list[ClassScore]:
    """Return the scores of each class, from a confusion matrix."""
    scores = []
    for right, rows, answered in zip(counts.diagonal(), counts.sum(1), counts.sum(0), strict=True):
        scores.append(
            ClassScore(
                rows=int(rows),
                answered=int(answered),
                precision=float(right / answered) if answered else None,
                recall=float(right / rows) if rows else None,
                f1=float(2 * right / (answered + rows)) if answered + rows else None,
            )
        )
    return scores


def residuals(answers: Predictions) -> np.ndarray:
    """Return (N) each answer of a regression minus its label."""
    return answers.outputs[:, 0] - answers.labels


def errors(answers: Predictions) -> Errors:
    off = residuals(answers).astype(np.float64)
    return Errors(float(np.abs(off).mean()), float(np.sqrt((off**2).mean())), float(off.mean()))
