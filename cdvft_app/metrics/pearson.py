"""Pearson's correlation of outputs and real labels, in -1..1; 0 where one side is the same in every row."""

from __future__ import annotations

from typing import Any

from cdvft_app.metrics.base import LabelledMetric, NDArray, Numbers, correlation_error, ratio_to_root


class Pearson(LabelledMetric):
    key = "pearson"
    title = "Pearson correlation"
    short_title = "Pearson"
    range = (-1.0, 1.0)
    regression = True

    @staticmethod
    def statistic(sums: Numbers, count: Numbers) -> Numbers:
        """Return the metric from sums (..., 5) of x, y, x^2, y^2 and x y."""
        import numpy as np

        x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
        return ratio_to_root(count * xy - x * y, (count * xx - x**2) * (count * yy - y**2))

    def compute(self, logits: Any, labels: Any) -> float:
        import numpy as np

        outputs = logits.reshape(-1)
        constant = np.ptp(outputs) == 0 or np.ptp(labels) == 0
        return 0.0 if constant else float(np.corrcoef(outputs, labels)[0, 1])

    def row_terms(self, outputs: Numbers, labels: NDArray) -> Numbers:
        import numpy as np

        sides = np.stack([outputs[:, 0], labels]).astype(np.float64)
        # Standardized first: the sums of squares of large numbers would lose what tells rows apart.
        x, y = ((side - side.mean()) / (side.std() or 1.0) for side in sides)
        return np.column_stack([x, y, x * x, y * y, x * y])

    def standard_error(self, score: float, rows: int) -> float | None:
        return correlation_error(score, rows)


METRIC = Pearson()
