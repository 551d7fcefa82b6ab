"""Accuracy: the share of rows whose class is right; and what it is for who always answers with one class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cdvft_app.metrics.base import LabelledMetric, NDArray, Numbers, share_error


class Accuracy(LabelledMetric):
    key = "accuracy"
    title = "accuracy"
    percent = True

    def compute(self, logits: Any, labels: Any) -> float:
        return float((logits.argmax(-1) == labels).mean())

    def row_terms(self, outputs: Numbers, labels: NDArray) -> Numbers:
        return (outputs.argmax(-1) == labels).astype(float)[:, None]

    def standard_error(self, score: float, rows: int) -> float:
        return share_error(score, rows)


METRIC = Accuracy()


@dataclass(frozen=True)
class CommonestClass:
    """The class `label` is the commonest of `train_rows`, and has the `share` of `evaluation_rows`."""

    label: str
    share: float
    train_rows: int
    evaluation_rows: int

    @property
    def sentence(self) -> str:
        return (
            f"Always answering “{self.label}”, the commonest class of the {self.train_rows:,} rows to train "
            f"on, is right for {100 * self.share:.1f} % of the {self.evaluation_rows:,} rows to evaluate on."
        )


def commonest_class(
    labels: Sequence[str], train: Sequence[int], evaluation: Sequence[int]
) -> CommonestClass | None:
    """Return the commonest class of the rows to train on; the first of several that are as common.

    Args:
        labels: the classes in the order of the outputs.
        train: rows of each class to train on.
        evaluation: rows of each class to evaluate on.

    Returns:
        None without classes, or without rows to evaluate on.
    """
    if not labels or not sum(evaluation):
        return None
    number = max(range(len(labels)), key=lambda one: train[one])
    return CommonestClass(labels[number], evaluation[number] / sum(evaluation), sum(train), sum(evaluation))
