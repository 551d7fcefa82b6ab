"""A finished run applied to a file: its rows are answered in batches, and scored where they have labels."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cdvft_app.catalog import cleaning
from cdvft_app.catalog.conversations import joined
from cdvft_app.catalog.uploaded import IMAGE
from cdvft_app.data.answered_file import Added, Answer, Answers, rows_of
from cdvft_app.format import counted
from cdvft_app.judging.judge import SIGNIFICANCE_LEVEL, Contestant, Run, band, of_mean
from cdvft_app.judging.row_scores import RowScores
from cdvft_app.metrics import LabelledMetric, TextMetric, get_metric, measure_each_text, metric_title
from cdvft_app.results import table_score
from cdvft_app.results.finished_run import FinishedRun, ResultsError
from cdvft_app.results.inputs import takes_pairs

if TYPE_CHECKING:
    import pyarrow as pa

    from cdvft_app.results.inference import SideBySide
    from cdvft_app.tasks.base import Prediction, Task

CHUNK = 256  # rows that are sorted by length and answered before anybody is told
CHUNK_OF_PICTURES, CHUNK_OF_PROMPTS = 128, 16
_MAX_CLASSES = 6  # that are named
EMPTY = "it is empty", "give it a text, or leave the row out"


@dataclass(frozen=True)
class Columns:
    """The columns of a file that are read, and the column of labels where it has one."""

    inputs: tuple[str, ...]
    label: str | None


def columns_for(
    run: FinishedRun,
    names: Sequence[str],
    of_file: Literal["text", "image"],
    *,
    inputs: Sequence[str] = (),
    label: str | None = None,
) -> Columns:
    """Return the columns of a file to read: those named, or those that have the names of the training data's.

    Args:
        run: that answers.
        names: of the columns of the file.
        of_file: what its rows hold; a table of texts, too, may have a column named “image”.
        inputs, label: columns that were named.

    Raises:
        ResultsError: which column is missing, and which ones there are.
    """
    dataset, kind = run.plan.dataset, run.plan.model.kind
    if (kind == "image") != (of_file == "image"):
        have, takes = ("texts", "pictures") if kind == "image" else ("pictures", "texts")
        raise ResultsError(f"This file has {have}, and {run.label} was trained on {takes}.")
    for name in (*inputs, *([label] if label else [])):
        if name not in names:
            raise ResultsError(f"There is no column “{name[:80]}”. {_columns_sentence(names)}")
    uploaded = dataset.uploaded
    wanted = uploaded.inputs if uploaded else dataset.text_columns
    label = label or _named(names, (uploaded.label if uploaded else dataset.label_column) or "label")
    if kind == "image":
        return Columns((IMAGE,), label)
    count = len(wanted) or 1
    if inputs and (len(inputs) == count or (kind == "generation" and not takes_pairs(run))):
        return Columns(tuple(inputs), label if label not in inputs else None)
    if inputs:
        raise ResultsError(f"{run.label} reads {counted(count, 'column')}; {len(inputs)} are given.")
    found = [_named(names, name) for name in wanted]
    if wanted and all(found):
        return Columns(tuple(name for name in found if name), label)
    if count == 1 and len(names) == 1:
        return Columns((names[0],), None)
    lacking = [name for name, one in zip(wanted, found, strict=True) if not one]
    raise ResultsError(
        f"{run.label} was trained on the column “{'” and “'.join(lacking or ['text'])}”, which this file "
        f"does not have. {_columns_sentence(names)} Say what is to be read: --text NAME, for a pair twice."
    )


def _named(names: Sequence[str], wanted: str) -> str | None:
    """Return the column of this name, ignoring capitals and spaces around it; None where there is none."""
    if wanted in names:
        return wanted
    return next((name for name in names if name.strip().casefold() == wanted.strip().casefold()), None)


def _columns_sentence(names: Sequence[str]) -> str:
    return f"Its columns are {', '.join(f'“{name}”' for name in names[:30])}."


def added_columns(run: FinishedRun, columns: Columns) -> list[Added]:
    """Return the columns that are added to a file: answer, confidence, and a check against the labels."""
    kind, metric = run.plan.model.kind, get_metric(run.plan.dataset.metric)
    if metric.regression:
        return [Added("value", "answer", float), *([Added("check", "error", float)] if columns.label else [])]
    check = [] if not columns.label else [Added("check", "correct", bool)]
    if check and kind == "generation" and not metric.percent:
        check = [Added("check", metric.key, float)]
    return [Added("value", "answer", str), Added("confidence", "confidence", float), *check]


def about(run: FinishedRun, sha256: str, columns: Columns) -> dict[str, Any]:
    """Return what identifies the question, so that answers are continued only for the same one."""
    return {
        "run": run.record.id,
        "trained_at": run.trained_at,
        "sha256": sha256,
        "inputs": list(columns.inputs),
        "label": columns.label,
    }


def answer_rows(
    run: FinishedRun,
    models: SideBySide,
    folder: Path,
    columns: Columns,
    answers: Answers,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[int]:
    """Answer the rows in the folder that have no answer yet, until `stopped()`; how many have one by then.

    What is held at a time is a batch, however many rows there are.
    """
    yield answers.count
    for rows in _chunks(folder, answers.count, _chunk(run)):
        if stopped():
            return
        answers.add(_answers_to(run, models, rows, columns))
        yield answers.count


def _chunk(run: FinishedRun) -> int:
    return {"text": CHUNK, "image": CHUNK_OF_PICTURES, "generation": CHUNK_OF_PROMPTS}[run.plan.model.kind]


def _chunks(folder: Path, start: int, size: int) -> Iterator[list[dict[str, Any]]]:
    for batch in rows_of(folder, start):
        for place in range(0, len(batch), size):
            part: pa.RecordBatch = batch.slice(place, size)
            yield part.to_pylist()


def _answers_to(
    run: FinishedRun, models: SideBySide, rows: Sequence[dict[str, Any]], columns: Columns
) -> list[Answer]:
    asked: dict[int, Any] = {}
    why: dict[int, Sequence[str]] = {}
    for place, row in enumerate(rows):
        try:
            asked[place] = _input(run, models.task, row, columns.inputs)
        except _NoAnswer as fault:
            why[place] = fault.args
    # Similar lengths side by side: batches have little padding.
    places = sorted(asked, key=lambda place: _length(asked[place]))
    found = dict(zip(places, models.answers(run.record.id, [asked[one] for one in places]), strict=True))
    expected = [_expected(run, models.task, row, columns.label) for row in rows]
    for place in found:
        if expected[place] is None and columns.label and (rows[place][columns.label] or "").strip():
            why[place] = *_unknown_label(models.task.labels), columns.label
    checks: dict[int, bool | float | None]
    if run.plan.model.kind == "generation":
        checks = {**_scores(run, found, expected)}
    else:
        checks = {place: _check(found[place], expected[place]) for place in places}
    return [
        Answer(*_answer_and_confidence(found[place]), checks.get(place), expected[place], why.get(place, ()))
        if place in found
        else Answer(None, expected=expected[place], why=why[place])
        for place in range(len(rows))
    ]


class _NoAnswer(Exception):
    """A row cannot be answered; the arguments say why, as `RowErrors.add` takes it."""


def _input(run: FinishedRun, task: Task, row: dict[str, Any], names: Sequence[str]) -> Any:
    """Return a row's input as the run's task takes it.

    Raises:
        _NoAnswer: it is empty, or nothing that the model takes.
    """
    kind, uploaded = run.plan.model.kind, run.plan.dataset.uploaded
    if kind == "image":
        from PIL import Image

        return Image.open(io.BytesIO(row[IMAGE]["bytes"])).convert("RGB")
    steps = uploaded.clean if uploaded else ()
    texts = cleaning.mend_texts([(row[name] or "").strip() for name in names], steps, task.labels)
    if kind == "generation":
        from cdvft_app.tasks.base import InvalidInput, TooLong

        prompt = joined(dict(zip(names, texts, strict=True)), *names)
        if not prompt:
            raise _NoAnswer(*EMPTY)
        try:
            task.examples([prompt])
        except TooLong:
            raise _NoAnswer(
                f"it has more than the {run.plan.settings.max_length:,} tokens that this run takes",
                "shorten it, or train a run that takes more",
            ) from None
        except InvalidInput as error:
            what, _, advice = str(error).rstrip(".").rpartition(". ")
            raise _NoAnswer(what, advice) from None
        return prompt
    for name, text in zip(names, texts, strict=True):
        if not text:
            raise _NoAnswer(*EMPTY, name)
    return texts[0] if len(texts) == 1 else tuple(texts)


def _length(asked: Any) -> int:
    return len(asked) if isinstance(asked, str) else sum(map(len, asked)) if isinstance(asked, tuple) else 0


def _expected(run: FinishedRun, task: Task, row: dict[str, Any], name: str | None) -> str | float | None:
    """Return the row's label: a class that the run knows, a number, or a text; None where it has none."""
    text = ((row[name] if name else None) or "").strip()
    if not text:
        return None
    uploaded = run.plan.dataset.uploaded
    if uploaded:
        text = cleaning.mend_label(text, uploaded.clean, task.labels)
    if run.plan.model.kind == "generation":
        return text
    if not task.labels:
        try:
            number = float(text)
        except ValueError:
            return None
        return number if math.isfinite(number) else None
    if text in task.labels:
        return text
    own = uploaded is None and text.isdecimal() and int(text) < len(task.labels)
    return task.labels[int(text)] if own else None  # datasets of the catalogue write classes as numbers


def _unknown_label(labels: Sequence[str]) -> tuple[str, str]:
    """Return what is wrong with a label that the run does not know, and what to give in its place."""
    if not labels:
        return "it is no number", "give it a number, or leave it empty"
    more = f" or another of {len(labels):,} classes" if len(labels) > _MAX_CLASSES else ""
    known = ", ".join(f"“{one}”" for one in labels[:_MAX_CLASSES])
    return "this run does not know it", f"give it one of {known}{more}"


def _answer_and_confidence(one: Prediction) -> tuple[str | float, float | None]:
    """Return the answer and its probability, for a text the geometric mean over its tokens."""
    if one.text is not None:
        logs = [math.log(max(share, 1e-9)) for _, share in one.tokens]
        return one.text, round(math.exp(sum(logs) / len(logs)), 4) if logs else None
    if one.label is not None:
        return one.label, round(max(one.probabilities), 4)
    assert one.value is not None
    return float(f"{one.value:.6g}"), None


def _check(found: Prediction, expected: str | float | None) -> bool | float | None:
    if expected is None:
        return None
    return found.label == expected if found.value is None else float(f"{found.value - float(expected):.6g}")


def _scores(
    run: FinishedRun, found: dict[int, Prediction], expected: Sequence[str | float | None]
) -> dict[int, bool | float]:
    places = [place for place in found if expected[place] is not None]
    if not places:
        return {}
    dataset = run.plan.dataset
    right_or_wrong = get_metric(dataset.metric).percent
    texts = [found[place].text or "" for place in places], [str(expected[place]) for place in places]
    scores = [one[dataset.metric] for one in measure_each_text(*texts, dataset)]
    return {
        place: score == 1 if right_or_wrong else round(score, 4)
        for place, score in zip(places, scores, strict=True)
    }


@dataclass(frozen=True)
class Score:
    """The metric over the rows with a label, with the judge's 95 % interval. `wrong` counts the wrong rows
    where rows are right or wrong, `off` is the mean absolute error of numbers in the labels' unit, and
    `seen` tells that the run was trained on rows of this file."""

    metric: str
    value: float
    interval: tuple[float, float] | None
    rows: int
    wrong: int | None
    seen: bool = False
    off: float | None = None
    off_interval: tuple[float, float] | None = None

    @property
    def sentence(self) -> str:
        off = None if self.off is None else (self.off, self.off_interval)
        text = table_score.sentence(
            metric_title(self.metric), get_metric(self.metric).format, self.value, self.interval, self.rows,
            wrong=self.wrong, off=off,
        )  # fmt: skip
        seen = " It was trained on rows of this file, so new rows may be answered worse." if self.seen else ""
        return text + seen


def score_of(
    run: FinishedRun, labels: Sequence[str], answers: Iterable[Answer], sha256: str = ""
) -> Score | None:
    """Return the run's own metric over the answers whose row has a label; None without any.

    `sha256` is that of the file. A few numbers a row are held, and no text.
    """
    key = run.plan.dataset.metric
    metric = get_metric(key)
    known = (one for one in answers if one.check is not None)
    errors: np.ndarray | None = None
    if not isinstance(metric, LabelledMetric):
        assert isinstance(metric, TextMetric)  # as each metric of a dataset that is not labelled
        parts = [
            metric.row_terms([str(one.value)], [str(one.expected)], [float(one.check or 0)]) for one in known
        ]
        if not parts:
            return None
        terms = np.concatenate(parts)
        found = RowScores(np.arange(len(terms)), terms, metric.statistic)
        right: np.ndarray | None = terms[:, 0] == 1 if metric.percent else None
    elif metric.regression:
        pairs: np.ndarray = np.fromiter(
            ((float(one.value or 0), float(one.expected or 0)) for one in known), np.dtype((np.float64, 2))
        )
        if not len(pairs):
            return None
        terms = metric.row_terms(pairs[:, :1], pairs[:, 1])
        found = RowScores(np.arange(len(pairs)), terms, metric.statistic)
        errors = np.abs(np.subtract(*pairs.T))
        right = None
    else:
        number = {name: place for place, name in enumerate(labels)}
        places = np.fromiter(
            ((number[str(one.value)], number[str(one.expected)]) for one in known), np.dtype((np.int64, 2))
        )
        terms = table_score.class_terms(metric, len(labels), places[:, 0], places[:, 1])
        found = RowScores(np.arange(len(places)), terms, metric.statistic)
        right = places[:, 0] == places[:, 1]
    rows = len(found.rows)
    if not rows:
        return None
    contestant = Contestant(run.label, (Run(run.record.settings.seed, found.score, rows, found),))
    interval = band(contestant, key) if rows > 1 else None
    uploaded = run.plan.dataset.uploaded
    seen = uploaded is not None and uploaded.sha256 == sha256
    wrong = None if right is None else int((~right).sum())
    off = () if errors is None else _mean_of(errors)
    return Score(key, found.score, interval, rows, wrong, seen, *off)


def score_sentence(score: Score | None, label: str | None) -> str | None:
    """Return the score as a sentence, or why there is none although a column of labels was read."""
    if score:
        return score.sentence
    return f"“{label}” has no label that this run knows, so there is no score." if label else None


def _mean_of(errors: np.ndarray) -> tuple[float, tuple[float, float] | None]:
    """Return the mean of errors that are 0 or more, and its interval, which a single one does not have."""
    if len(errors) < 2:
        return float(errors.mean()), None
    low, high = of_mean(errors[None]).interval(1 - SIGNIFICANCE_LEVEL)
    return float(errors.mean()), (max(low, 0.0), high)


def time_left(done: int, total: int, seconds: float, begun_with: int = 0) -> float | None:
    """Return the seconds for the remaining rows at the rate so far; None while nothing was answered."""
    answered = done - begun_with
    return None if answered <= 0 else (total - done) * seconds / answered
