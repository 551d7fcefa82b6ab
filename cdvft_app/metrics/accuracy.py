"""Accuracy: the share of rows whose class is right."""

from __future__ import annotations

from typing import Any

from cdvft_app.metrics.base import LabelledMetric, NDArray, Numbers, share_error


class Accuracy(LabelledMetric):
    key = "accuracy"
    title = "accuracy"
    percent = True
    script = "(given.predictions.argmax(-1) == given.label_ids).mean()"

    def compute(self, logits: Any, labels: Any) -> float:
        return float((logits.argmax(-1) == labels).mean())

    def row_terms(self, outputs: Numbers, labels: NDArray) -> Numbers:
        return (outputs.argmax(-1) == labels).astype(float)[:, None]

    def standard_error(self, score: float, rows: int) -> float:
        return share_error(score, rows)


METRIC = Accuracy()
