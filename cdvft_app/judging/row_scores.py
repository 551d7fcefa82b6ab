"""What a run answered, row by row, in a form from which its metric over any rows follows at once.

Every metric here is a function g of sums over rows, metric = g(Σₙ tₙ, N), with a few terms tₙ a row:

    mean (accuracy, exact match, any score a row: F1, ROUGE, chrF)   t = s,  g = Σs / N
    matthews (K classes)    t = label and class as 0/1 vectors, and whether the row is right
                            g = (N c − Σₖ aₖ bₖ) / √((N² − Σ aₖ²) (N² − Σ bₖ²))
    pearson                 t = x, y, x², y², x y,  g = the correlation of x and y

with c the rows that are right and a, b how often each class is answered and true. Rows drawn again, exchanged
between two runs or left out change only the sums. Sources: J. Gorodkin, Comparing two K-category assignments
by a K-category correlation coefficient, Computational Biology and Chemistry 28 (2004), 367 to 374, for g of
Matthews; the others are definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cdvft_app.store.predictions import Predictions

Kind = Literal["mean", "matthews", "pearson"]
Numbers = NDArray[np.float64]
_LEAST_SPREAD = 1e-24


@dataclass(frozen=True, eq=False)
class RowScores:
    """`rows` (N) are indices among the evaluation rows, ascending; `terms` (N, k) as above.

    `labels` (N) are what was right, so that two runs are known to have answered the same; None: not kept.
    """

    rows: NDArray[np.int64]
    terms: Numbers
    kind: Kind
    labels: NDArray | None = None

    @property
    def score(self) -> float:
        return float(metric(self.kind, self.terms.sum(0), len(self.rows)))

    @property
    def right_or_wrong(self) -> bool:
        """Whether each row is one or the other, so that rows can be counted."""
        return self.kind == "mean" and bool(np.isin(self.terms, (0.0, 1.0)).all())

    @property
    def pseudo_values(self) -> Numbers:
        """(N) N g − (N − 1) g₋ₙ: the jackknife's. Their mean is the metric, their spread its uncertainty."""
        count, sums = len(self.rows), self.terms.sum(0)
        if self.kind == "mean":
            return self.terms[:, 0]
        left_out = metric(self.kind, sums - self.terms, count - 1)
        return count * metric(self.kind, sums, count) - (count - 1) * left_out

    def same_rows(self, other: RowScores) -> bool:
        """Whether both answered the same rows of the same data for the same metric."""
        if self.kind != other.kind or not np.array_equal(self.rows, other.rows):
            return False
        unknown = self.labels is None or other.labels is None
        return unknown or np.array_equal(self.labels, other.labels)  # type: ignore[arg-type]

    def at(self, chosen: NDArray[np.bool_]) -> RowScores:
        """Of the chosen rows alone."""
        labels = None if self.labels is None else self.labels[chosen]
        return RowScores(self.rows[chosen], self.terms[chosen], self.kind, labels)


def metric(kind: Kind, sums: Numbers, count: ArrayLike) -> Numbers:
    """g of sums (..., k) over `count` rows; 0 where a correlation is not defined."""
    return _METRICS[kind](np.asarray(sums), np.asarray(count))


def _mean(sums: Numbers, count: Numbers) -> Numbers:
    return sums[..., 0] / count


def _matthews(sums: Numbers, count: Numbers) -> Numbers:
    classes = (sums.shape[-1] - 1) // 2
    true, answered, right = sums[..., :classes], sums[..., classes:-1], sums[..., -1]
    spread = (count**2 - (true**2).sum(-1)) * (count**2 - (answered**2).sum(-1))
    return _divided(count * right - (true * answered).sum(-1), spread)


def _pearson(sums: Numbers, count: Numbers) -> Numbers:
    x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    return _divided(count * xy - x * y, (count * xx - x**2) * (count * yy - y**2))


def _divided(above: Numbers, spread: Numbers) -> Numbers:
    """above / √spread; 0 where a side is the same in every row, which rounding leaves near 0."""
    return np.where(spread > _LEAST_SPREAD, above / np.sqrt(np.maximum(spread, _LEAST_SPREAD)), 0.0)


_METRICS: dict[Kind, Callable[[Numbers, Numbers], Numbers]] = {
    "mean": _mean,
    "matthews": _matthews,
    "pearson": _pearson,
}


def of_scores(scores: ArrayLike, rows: ArrayLike | None = None, labels: NDArray | None = None) -> RowScores:
    """A score a row, a bool for right or wrong or a number, whose mean is the metric."""
    values = np.asarray(scores, dtype=np.float64)
    at = np.arange(len(values)) if rows is None else np.asarray(rows, dtype=np.int64)
    return RowScores(at, values[:, None], "mean", labels)


def of_wrong(rows: int, wrong: Sequence[int]) -> RowScores:
    """Rows 0 to `rows` − 1, of which those of the indices `wrong` were answered wrong."""
    return of_scores(~np.isin(np.arange(rows), wrong))


def of_predictions(kept: Predictions, metric_name: str) -> RowScores:
    """A classifier's or a regression's predictions for its metric: matthews, pearson, else accuracy."""
    if metric_name == "pearson":
        sides = np.stack([kept.outputs[:, 0], kept.labels]).astype(np.float64)
        x, y = ((side - side.mean()) / (side.std() or 1.0) for side in sides)
        return RowScores(kept.rows, np.column_stack([x, y, x * x, y * y, x * y]), "pearson", kept.labels)
    if metric_name != "matthews":
        return of_scores(kept.correct, kept.rows, kept.labels)
    classes = np.arange(max(int(kept.labels.max(initial=0)) + 1, kept.outputs.shape[1]))
    one_hot = [side[:, None] == classes for side in (kept.labels, kept.classes)]
    terms = np.column_stack([*one_hot, kept.correct]).astype(np.float64)
    return RowScores(kept.rows, terms, "matthews", kept.labels)
