"""Metrics of a task's predictions: accuracy, correlations, exact match, field F1, chrF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cdvft_app.catalog.entries import DatasetEntry, Metric
from cdvft_app.catalog.fields import read_fields, same

WHOLE = ""
"""In place of a field's name: all of an answer."""


def measure(metric: Metric, logits: Any, labels: Any) -> float:
    """A metric of logits (N, classes) against labels (N); "pearson" is of outputs (N, 1) and real labels.

    accuracy is in 0..1; Matthews' and Pearson's correlation in -1..1, each 0 where one side is constant.
    """
    if metric == "pearson":
        outputs = logits.reshape(-1)
        constant = np.ptp(outputs) == 0 or np.ptp(labels) == 0
        return 0.0 if constant else float(np.corrcoef(outputs, labels)[0, 1])
    classes = logits.argmax(-1)
    if metric == "matthews":
        from sklearn.metrics import matthews_corrcoef

        return float(matthews_corrcoef(labels, classes))
    return float((classes == labels).mean())


def answers_measured(
    predicted: Sequence[str], expected: Sequence[str], dataset: DatasetEntry
) -> dict[str, float]:
    """Metrics of predicted answers against the expected ones, each in 0..1.

    exact_match is the share that is right in whole: as text, or what follows the data's mark, or, of answers
    with fields, in every field and with none too many. Those also have field_f1, the harmonic mean of
    precision and recall over all pairs of a field and its value, 0 where there are none. Where the data's
    metric is chrf there is that, too: sacrebleu's chrF2 of all answers, a character n-gram F-score.
    """
    measured = {"exact_match": float(np.mean(_exact(predicted, expected, dataset)))}
    if dataset.fields:
        counted = _shared_pairs(predicted, expected, dataset.fields)
        measured["field_f1"] = _f1(*np.sum(counted, axis=0))
    elif dataset.metric == "chrf":
        measured["chrf"] = _chrf().corpus_score(list(predicted), [list(expected)]).score / 100
    return measured


def each_answer_measured(
    predicted: Sequence[str], expected: Sequence[str], dataset: DatasetEntry
) -> list[dict[str, float]]:
    """The same metrics of each answer by itself: exact_match is 0 or 1, field_f1 and chrf are the row's own.

    Only exact_match of all rows is the mean of these.
    """
    scores: dict[str, Sequence[float]] = {"exact_match": _exact(predicted, expected, dataset)}
    if dataset.fields:
        scores["field_f1"] = [_f1(*one) for one in _shared_pairs(predicted, expected, dataset.fields)]
    elif dataset.metric == "chrf":
        metric = _chrf()
        scores["chrf"] = [
            metric.sentence_score(one, [other]).score / 100
            for one, other in zip(predicted, expected, strict=True)
        ]
    return [dict(zip(scores, map(float, row), strict=True)) for row in zip(*scores.values(), strict=True)]


def _exact(predicted: Sequence[str], expected: Sequence[str], dataset: DatasetEntry) -> list[bool]:
    """Whether each answer is right in whole."""
    if dataset.fields:
        shared = _shared_pairs(predicted, expected, dataset.fields)
        return [2 * both == total for both, total in shared]
    mark = dataset.answer_mark
    return [_final(one, mark) == _final(other, mark) for one, other in zip(predicted, expected, strict=True)]


def _final(text: str, mark: str) -> str:
    """What follows the last mark, or all where there is none; full stops at the end are forgiven."""
    return text.rpartition(mark)[2].strip().rstrip(".") if mark else text.strip()


def _shared_pairs(
    predicted: Sequence[str], expected: Sequence[str], fields: Sequence[str]
) -> list[tuple[int, int]]:
    """Of each row: pairs of a field and its value that both answers have, and how many both have together."""
    found, right = (
        [{(name, same(value)) for name, value in read_fields(text, fields).items()} for text in texts]
        for texts in (predicted, expected)
    )
    return [(len(one & other), len(one) + len(other)) for one, other in zip(found, right, strict=True)]


def _f1(shared: int, total: int) -> float:
    return float(2 * shared / total) if total else 0.0


def _chrf() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


def wrong_fields(predicted: str, expected: str, fields: Sequence[str]) -> tuple[str, ...]:
    """The fields that an answer has otherwise than the right one: another value, missing, or too many."""
    found, right = read_fields(predicted, fields), read_fields(expected, fields)
    return tuple(name for name in fields if same(found.get(name, "")) != same(right.get(name, "")))


def wrong_parts(predicted: str, expected: str, dataset: DatasetEntry) -> tuple[str, ...]:
    """What of an answer is to be marked as wrong: fields; of a text that is right or wrong in whole, `WHOLE`.

    Nothing of free text, whose answers are more or less alike.
    """
    if dataset.fields:
        return wrong_fields(predicted, expected, dataset.fields)
    must_match = dataset.metric == "exact_match"
    return (WHOLE,) if must_match and not _exact([predicted], [expected], dataset)[0] else ()
