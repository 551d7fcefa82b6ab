"""How good predictions are, in one number."""

from __future__ import annotations

from typing import Any

import numpy as np

from cdvft_app.catalog.entries import Metric


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
