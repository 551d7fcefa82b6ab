"""Matthews' correlation of K classes, in -1..1; 0 where one side is the same in every row.

    g = (N c − Σₖ aₖ bₖ) / √((N² − Σ aₖ²) (N² − Σ bₖ²))

with c the rows that are right, and aₖ, bₖ how often class k is predicted and true. Source: J. Gorodkin,
Comparing two K-category assignments by a K-category correlation coefficient, Computational Biology and
Chemistry 28 (2004), 367 to 374.
"""

from __future__ import annotations

from typing import Any

from cdvft_app.metrics.base import LabelledMetric, NDArray, Numbers, correlation_error, ratio_to_root


class Matthews(LabelledMetric):
    key = "matthews"
    title = "Matthews correlation"
    short_title = "Matthews"
    range = (-1.0, 1.0)

    @staticmethod
    def statistic(sums: Numbers, count: Numbers) -> Numbers:
        """Return the metric from sums (..., 2 K + 1) of one-hot label, one-hot prediction, and their
        equality."""
        classes = (sums.shape[-1] - 1) // 2
        true, predicted, right = sums[..., :classes], sums[..., classes:-1], sums[..., -1]
        variance = (count**2 - (true**2).sum(-1)) * (count**2 - (predicted**2).sum(-1))
        return ratio_to_root(count * right - (true * predicted).sum(-1), variance)

    def compute(self, logits: Any, labels: Any) -> float:
        from sklearn.metrics import matthews_corrcoef

        return float(matthews_corrcoef(labels, logits.argmax(-1)))

    def row_terms(self, outputs: Numbers, labels: NDArray) -> Numbers:
        import numpy as np

        predicted = outputs.argmax(-1)
        classes = np.arange(max(int(labels.max(initial=0)) + 1, outputs.shape[1]))
        one_hot = [side[:, None] == classes for side in (labels, predicted)]
        return np.column_stack([*one_hot, predicted == labels]).astype(np.float64)

    def standard_error(self, score: float, rows: int) -> float | None:
        return correlation_error(score, rows)


METRIC = Matthews()
