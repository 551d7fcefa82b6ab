"""The held-out rows as tables: how often each run is right, by class or field, and the rows themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cdvft_app.judging import verdict_text
from cdvft_app.judging.judge import Verdict
from cdvft_app.metrics import METRICS, metric_title
from cdvft_app.metrics.fields import read_fields
from cdvft_app.payloads.use import Line, Section, Sheet, SheetCell
from cdvft_app.results import held_out
from cdvft_app.results.batch import in_digits
from cdvft_app.store.predictions import Predictions, WrittenAnswers
from cdvft_app.store.records import shortened
from cdvft_app.ui.use.sheets import cell, line, quiet, sheet

MAX_CLASSES = 20  # that are drawn as a matrix
MAX_CONFUSED = 20  # pairs of classes, where there are more
MAX_POINTS = 2000  # of a scatter plot
MAX_OF_TEXT = 600  # characters
RunAnswers = tuple[str, str, Predictions]
"""A run's title, its method's key, and what it answered."""
RunWritten = tuple[str, str, WrittenAnswers]
"""The same of a run that writes."""


def of_classes(runs: Sequence[RunAnswers], labels: Sequence[str], verdict: Verdict | None) -> list[Section]:
    """Return a confusion matrix a run, the scores of each class, and the verdict on the first two runs."""
    confusions = [held_out.confusion(answers) for _, _, answers in runs]
    matrices = [_matrix(one, matrix, labels) for one, matrix in zip(runs, confusions, strict=True)]
    tested = judged(runs, verdict) if len(runs) > 1 else []
    return [*tested, *matrices, _per_class(runs, confusions, labels)]


def judged(runs: Sequence[tuple[str, str, Any]], verdict: Verdict | None) -> list[Section]:
    """Return how often each of two runs alone is right, and the verdict of the judge of their race."""
    (first, _, one), (second, _, other) = runs[:2]
    parts: list[Section] = []
    if np.array_equal(one.rows, other.rows) and np.array_equal(one.labels, other.labels):
        alone = int((one.correct & ~other.correct).sum()), int((other.correct & ~one.correct).sum())
        said = f"Only {first} is correct on {alone[0]:,} of {len(one.rows):,} examples, "
        parts.append({"said": [line(f"{said}only {second} on {alone[1]:,}.")]})
    else:
        parts.append(quiet("These runs were evaluated on different examples."))
    if verdict:
        parts.append({"said": [line(verdict_text.result(verdict), strong=True)]})
        parts.append(quiet(" ".join(verdict_text.basis(verdict))))
    return parts


def _matrix(run: RunAnswers, confusion: np.ndarray, labels: Sequence[str]) -> Section:
    title, method, answers = run
    right, rows = int(answers.correct.sum()), len(answers.labels)
    heading = f"{title}: {right:,} of {rows:,} correct ({_percent(right / rows)})"
    if len(labels) > MAX_CLASSES:
        return {"title": heading, "sheet": _confused(title, confusion, labels), "beside": True}
    matrix = sheet(
        "confusion",
        f"Labels and predictions of {title}",
        ["Label", *labels],
        [
            [cell(label), *(_cell(count, of.sum(), place == truth) for place, count in enumerate(of))]
            for truth, (label, of) in enumerate(zip(labels, confusion, strict=True))
        ],
        above=[("", 1), ("Prediction", len(labels))],
        method=method,
    )
    return {"title": heading, "sheet": matrix, "beside": True}


def _cell(count: int, of: int, right: bool) -> SheetCell:
    return cell(f"{count:,}", share=float(count / of if of else 0.0), strong=right)


def _confused(title: str, confusion: np.ndarray, labels: Sequence[str]) -> Sheet:
    wrong = confusion - np.diag(confusion.diagonal())
    worst = np.argsort(-wrong, axis=None, kind="stable")[:MAX_CONFUSED]
    pairs = [(*divmod(int(place), len(labels)), int(wrong.flat[place])) for place in worst]
    rows = [
        [cell(labels[truth]), cell(labels[answer]), cell(f"{count:,}")]
        for truth, answer, count in pairs
        if count
    ]
    return sheet("confused", f"Most frequent confusions of {title}", ("Label", "Prediction", "Rows"), rows)


def _per_class(
    runs: Sequence[RunAnswers], confusions: Sequence[np.ndarray], labels: Sequence[str]
) -> Section:
    of_runs = [held_out.class_scores(matrix) for matrix in confusions]
    scores = sheet(
        "per-class",
        "Scores of each class",
        ["Class", "Rows", *("Precision", "Recall", "F1") * len(runs)],
        [
            [cell(label), cell(f"{lines[0].rows:,}"), *(cell(one) for each in lines for one in _scored(each))]
            for label, *lines in zip(labels, *of_runs, strict=True)
        ],
        above=[("", 2), *((title, 3) for title, _, _ in runs)],
    )
    return {
        "title": "Scores of each class",
        "folded": True,
        "quiet": "Precision: of the rows given this answer, how many have this label. Recall: of the rows "
        "with this label, how many were given this answer. F1: their harmonic mean.",
        "sheet": scores,
    }


def _percent(share: float) -> str:
    return METRICS["accuracy"].format(share)


def _scored(one: held_out.ClassScore) -> list[str]:
    values = (one.precision, one.recall, one.f1)
    return ["–" if value is None else _percent(value) for value in values]


def of_numbers(runs: Sequence[RunAnswers]) -> list[Section]:
    """Return the errors of each run of a regression, and its answers against the labels."""
    rows = []
    for title, _, answers in runs:
        found = held_out.errors(answers)
        values = (found.mean_absolute, found.root_mean_square, found.mean)
        rows.append([cell(title), *(cell(f"{value:.3f}") for value in values)])
    heads = ("Method", "Mean error, unsigned", "Root mean square", "Mean error")
    return [{"sheet": sheet("errors", "Errors", heads, rows)}, *map(_scatter, runs)]


def _scatter(run: RunAnswers) -> Section:
    title, method, answers = run
    labels, outputs = answers.labels[:MAX_POINTS], answers.outputs[:MAX_POINTS, 0]
    low, high = float(min(labels.min(), outputs.min())), float(max(labels.max(), outputs.max()))
    ends = f"from {in_digits(low)} to {in_digits(high)}".replace("-", "−")
    return {
        "title": title,
        "beside": True,
        "scatter": {
            "method": method,
            "about": f"Answers of {title} against labels, {ends}; on the line both agree",
            "points": list(zip(labels.tolist(), outputs.tolist(), strict=True)),
            "low": low,
            "high": high,
        },
        "quiet": f"Labels to the right, answers upwards, both {ends}.",
    }


def of_labelled_rows(found: Mapping[str, Any], titles: Sequence[str], labels: Sequence[str]) -> list[Section]:
    """Return rows with what was given, the label and each run's answer; see `held_out.table_rows`."""
    if not found["rows"]:
        return [quiet("There is no such row.")]
    rows = [
        [
            cell(f"{row['row'] + 1:,}"),
            _given(row),
            cell(_label(row["label"], labels)),
            *(_answer(row["label"], answer, labels) for answer in row["answers"]),
        ]
        for row in found["rows"]
    ]
    what = "Image" if found["rows"][0]["image"] else "Text"
    return [{"sheet": sheet("examples", "Held-out rows", ("Row", what, "Label", *titles), rows)}]


def _given(row: Mapping[str, Any]) -> SheetCell:
    if row["image"]:
        return cell(f"Row {row['row'] + 1}", picture=row["image"])
    given = row["given"]
    return cell(given if isinstance(given, str) else "\n".join(given))


def _label(label: float, labels: Sequence[str]) -> str:
    return labels[int(label)] if labels else f"{label:.2f}"


def _answer(label: float, answer: Mapping[str, Any], labels: Sequence[str]) -> SheetCell:
    if "value" in answer:
        return cell(f"{answer['value']:.2f}", quiet=f"({answer['value'] - label:+.2f})")
    said = line(labels[answer["class"]], strong=True)
    if answer["class"] != label:
        said["wrong"] = "wrong"
    return {"lines": [said], "quiet": _percent(answer["sure"])}


def of_written(runs: Sequence[RunWritten], fields: Sequence[str], verdict: Verdict | None) -> list[Section]:
    """Return the number of right answers of each run, the judge's verdict, and the mistakes by field."""
    names = _graded(runs[0][2])
    heads = ("Method", "Right", *(f"{metric_title(name, short=True)}, mean of the rows" for name in names))
    right = sheet("errors", "Right answers", heads, [[cell(title), *_counts(one)] for title, _, one in runs])
    tested = judged(runs, verdict) if len(runs) > 1 else []
    return [*tested, {"sheet": right}, *_by_field(runs, fields)]


def _counts(answers: WrittenAnswers) -> list[SheetCell]:
    right, count = int(answers.correct.sum()), len(answers.entries)
    share = f" ({_percent(right / count)})" if count else ""
    means = (cell(f"{answers.scores(name).mean():.3f}") for name in _graded(answers))
    return [cell(f"{right:,} of {count:,}{share}"), *means]


def _graded(answers: WrittenAnswers) -> list[str]:
    """Return the metrics of its rows that are more than right or wrong."""
    scores = answers.entries[0].scores if answers.entries else {}
    return [key for key, metric in METRICS.items() if key in scores and not metric.percent]


def _by_field(runs: Sequence[RunWritten], fields: Sequence[str]) -> list[Section]:
    if not fields:
        return []
    confusions = [held_out.mistakes_by_field(answers, fields) for _, _, answers in runs]
    rows = [[cell(name), *(cell(f"{one[name]:,}") for one in confusions)] for name in fields]
    heads = ("Field", *(title for title, _, _ in runs))
    return [
        {
            "title": "Mistakes of each field",
            "folded": True,
            "quiet": "In so many rows the field has another value, is missing, or is too many.",
            "sheet": sheet("errors", "Mistakes of each field", heads, rows),
        }
    ]


def of_written_rows(found: Mapping[str, Any], titles: Sequence[str], fields: Sequence[str]) -> list[Section]:
    """Prompts with the right answer and each run's; see `held_out.prompt_rows`."""
    if not found["rows"]:
        return [quiet("There is no such row.")]
    rows = [
        [
            cell(f"{row['row'] + 1:,}"),
            cell(shortened(row["prompt"], MAX_OF_TEXT)),
            cell(shortened(row["expected"], MAX_OF_TEXT)),
            *(_written_answer(one, row["expected"], fields) for one in row["answers"]),
        ]
        for row in found["rows"]
    ]
    heads = ("Row", "Prompt", "Right answer", *titles)
    return [{"sheet": sheet("examples", "Held-out rows", heads, rows)}]


def _written_answer(one: Mapping[str, Any], expected: str, fields: Sequence[str]) -> SheetCell:
    written = cell(shortened(one["text"], MAX_OF_TEXT))
    if one["correct"]:
        return written
    said = read_fields(one["text"], fields) if fields else {}
    if not said:
        written["lines"][-1]["wrong"] = "wrong"
        return written
    wanted = {**dict.fromkeys(said), **read_fields(expected, fields)}
    return {
        "lines": [_field(name, said.get(name), name in one["wrong"]) for name in fields if name in wanted]
    }


def _field(name: str, value: str | None, wrong: bool) -> Line:
    if value is None:
        return line(f"{name}:", strong=True, wrong="missing")
    return line(f"{name}: {value}", strong=True, wrong="wrong") if wrong else line(f"{name}: {value}")
