"""What a run answered, row by row, in a form from which its metric over any rows follows at once.

Every metric here is a function g of sums over rows, metric = g(Σₙ tₙ, N), with a few terms tₙ a row: the mean
of a score a row (t = s, g = Σ s / N), or the `statistic` of a metric of `cdvft_app/metrics`. Rows drawn
again, exchanged between two runs or left out change only the sums. `of_run` reads them from a run's folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cdvft_app.metrics import METRICS, LabelledMetric, TextMetric
from cdvft_app.metrics.base import Metric, Numbers, Statistic
from cdvft_app.store import predictions
from cdvft_app.store.predictions import Predictions, WrittenAnswers
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore


@dataclass(frozen=True, eq=False)
class RowScores:
    """`rows` (N) are indices among the evaluation rows, ascending; `terms` (N, k) as above.

    `labels` (N) are what was right, so that two runs are known to have answered the same; None: not kept.
    """

    rows: NDArray[np.int64]
    terms: Numbers
    statistic: Statistic
    labels: NDArray | None = None

    @property
    def is_mean(self) -> bool:
        """Whether the metric is the mean of a score a row."""
        return self.statistic is Metric.statistic

    @property
    def score(self) -> float:
        return float(self.statistic(self.terms.sum(0), np.asarray(len(self.rows))))

    @property
    def right_or_wrong(self) -> bool:
        """Whether each row is one or the other, so that rows can be counted."""
        return self.is_mean and bool(np.isin(self.terms, (0.0, 1.0)).all())

    @property
    def pseudo_values(self) -> Numbers:
        """The jackknife pseudo-values N g − (N − 1) g₋ₙ, (N).

        Their mean is the metric, and their spread is its uncertainty.
        """
        count, sums = len(self.rows), self.terms.sum(0)
        if self.is_mean:
            return self.terms[:, 0]
        left_out = self.statistic(sums - self.terms, np.asarray(count - 1))
        return count * self.statistic(sums, np.asarray(count)) - (count - 1) * left_out

    def same_rows(self, other: RowScores) -> bool:
        """Return whether both answered the same rows of the same data for the same metric."""
        if self.statistic is not other.statistic or not np.array_equal(self.rows, other.rows):
            return False
        unknown = self.labels is None or other.labels is None
        return unknown or np.array_equal(self.labels, other.labels)  # type: ignore[arg-type]

    def at(self, chosen: NDArray[np.bool_]) -> RowScores:
        """Return the scores of the chosen rows alone."""
        labels = None if self.labels is None else self.labels[chosen]
        return RowScores(self.rows[chosen], self.terms[chosen], self.statistic, labels)


def of_scores(scores: ArrayLike, rows: ArrayLike | None = None, labels: NDArray | None = None) -> RowScores:
    """The scores of a metric that is the mean of one score a row: a bool for right or wrong, or a number."""
    values = np.asarray(scores, dtype=np.float64)
    at = np.arange(len(values)) if rows is None else np.asarray(rows, dtype=np.int64)
    return RowScores(at, values[:, None], Metric.statistic, labels)


def of_wrong(rows: int, wrong: Sequence[int]) -> RowScores:
    """The scores of rows 0 to `rows` − 1, of which those with the indices `wrong` were answered wrong."""
    return of_scores(~np.isin(np.arange(rows), wrong))


def of_predictions(kept: Predictions, metric_name: str) -> RowScores:
    """Return the scores of a classifier's or a regression's predictions by its metric, else by accuracy."""
    metric = METRICS.get(metric_name)
    if not isinstance(metric, LabelledMetric):
        return of_scores(kept.correct, kept.rows, kept.labels)
    return RowScores(kept.rows, metric.row_terms(kept.outputs, kept.labels), metric.statistic, kept.labels)


def of_written(kept: WrittenAnswers, metric_name: str) -> RowScores | None:
    """Return the scores of written answers; None for a metric of which their rows have no score.

    What chrF sums is counted anew from the texts, of a long one as far as it was kept.
    """
    try:
        scores = kept.scores(metric_name)
    except KeyError:
        return None
    metric = METRICS.get(metric_name)
    if not isinstance(metric, TextMetric):
        return of_scores(scores, kept.rows, kept.labels)
    terms = metric.row_terms([one.written for one in kept.entries], kept.labels.tolist(), scores.tolist())
    return RowScores(kept.rows, terms, metric.statistic, kept.labels)


MAX_KEPT = 512


def of_run(store: RunStore, run_id: str, metric_name: str) -> RowScores | None:
    """Return the scores of a run of the store, row by row.

    None for a run that kept no answers, as those of earlier versions, or that was deleted meanwhile.
    """
    try:
        return of_folder(store.folder(run_id), metric_name)
    except StoreError:
        return None


def of_folder(folder: Path, metric_name: str) -> RowScores | None:
    """The scores, row by row, from the folder in which a run's predictions lie; None where there are none."""
    for name in (predictions.FILE, predictions.ANSWERS_FILE):
        with suppress(OSError):
            return _read(folder, metric_name, (folder / name).stat().st_mtime_ns)
    return None


@lru_cache(maxsize=MAX_KEPT)
def _read(folder: Path, metric_name: str, changed: int) -> RowScores | None:
    kept = predictions.read_either(folder)
    if isinstance(kept, WrittenAnswers):
        return of_written(kept, metric_name)
    return None if kept is None else of_predictions(kept, metric_name)
