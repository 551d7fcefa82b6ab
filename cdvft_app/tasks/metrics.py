"""Metrics of a task's predictions: accuracy, correlations, exact match, field F1, chrF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cdvft_app.catalog.entries import DatasetEntry, Metric
from cdvft_app.catalog.fields import read_fields, same


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
    if dataset.fields:
        return _fields_measured(predicted, expected, dataset.fields)
    finals = [[_final(text, dataset.answer_mark) for text in side] for side in (predicted, expected)]
    measured = {"exact_match": float(np.mean([one == other for one, other in zip(*finals, strict=True)]))}
    if dataset.metric == "chrf":
        from sacrebleu.metrics.chrf import CHRF

        measured["chrf"] = CHRF().corpus_score(list(predicted), [list(expected)]).score / 100
    return measured


def _final(text: str, mark: str) -> str:
    """What follows the last mark, or all where there is none; full stops at the end are forgiven."""
    return text.rpartition(mark)[2].strip().rstrip(".") if mark else text.strip()


def _fields_measured(
    predicted: Sequence[str], expected: Sequence[str], fields: Sequence[str]
) -> dict[str, float]:
    pairs = [
        [{(name, same(value)) for name, value in read_fields(text, fields).items()} for text in texts]
        for texts in (predicted, expected)
    ]
    found, right = pairs
    shared = sum(len(one & other) for one, other in zip(found, right, strict=True))
    total = sum(map(len, found)) + sum(map(len, right))
    return {
        "exact_match": float(np.mean([one == other for one, other in zip(found, right, strict=True)])),
        "field_f1": 2 * shared / total if total else 0.0,
    }


def wrong_fields(predicted: str, expected: str, fields: Sequence[str]) -> tuple[str, ...]:
    """The fields that an answer has otherwise than the right one: another value, missing, or too many."""
    found, right = read_fields(predicted, fields), read_fields(expected, fields)
    return tuple(name for name in fields if same(found.get(name, "")) != same(right.get(name, "")))
