"""The interface of a metric: everything that the rest of the app asks of one.

Each file beside this one defines one metric completely: what it is called, how its values are written, how it
is computed, and the statistic by which two runs are compared. Importing them loads neither torch nor sklearn.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
else:
    Numbers = NDArray = Any  # the page is served before numpy is there

Statistic = Callable[[Numbers, Numbers], Numbers]
"""g of a metric g(Σₙ tₙ, N): sums (..., k) over rows of k terms each, and the count N of rows (...)."""
_MIN_VARIANCE = 1e-24


class AnswerFormat(Protocol):
    """What a metric of written answers needs to know of a dataset."""

    @property
    def metric(self) -> str: ...
    @property
    def fields(self) -> Sequence[str]:
        """The names of an answer's fields; empty for an answer that is one text."""

    @property
    def answer_mark(self) -> str:
        """The mark before the answer proper; empty where all of the text is the answer."""


class Metric:
    """A metric; greater is better. Subclasses are the metrics; see `accuracy` for a short one."""

    key: ClassVar[str]
    title: ClassVar[str]
    short_title: ClassVar[str | None] = None
    """Where a column's heading leaves little room; None: `title`."""
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    percent: ClassVar[bool] = False
    """Whether it is a share of the evaluation rows, and shown as per cent."""
    regression: ClassVar[bool] = False
    """Whether it is of one output and real labels; else of classes or texts."""
    packages: ClassVar[tuple[str, ...]] = ()
    """The packages that it needs in an exported folder, beyond those that the model needs."""

    @staticmethod
    def statistic(sums: Numbers, count: Numbers) -> Numbers:
        """Return the metric g from the sums; as for most metrics, the mean of one score a row."""
        return sums[..., 0] / count

    # As text

    def format(self, value: float) -> str:
        """Return the value as text: 79.7 % or 0.812."""
        return f"{100 * value:.1f}\u00a0%" if self.percent else f"{value:.3f}"

    def format_difference(self, value: float) -> str:
        """Return a difference with its sign: −1.6, in points, or −0.016."""
        text = f"{100 * value:.1f}" if self.percent else f"{value:.3f}"
        return text.replace("-", "" if float(text) == 0 else "−")

    def format_distance(self, value: float) -> str:
        """Return a difference without its sign, with its unit: 1.6 points or 0.016."""
        text = self.format_difference(abs(value))
        return f"{text} {'point' if text == '1.0' else 'points'}" if self.percent else text

    # How sure a value is

    def standard_error(self, score: float, rows: int) -> float | None:
        """Return the standard error of a score over two `rows` or more; None where no formula is known for
        it."""
        return None


class LabelledMetric(Metric, ABC):
    """A metric of a model that answers with a class or a number."""

    @abstractmethod
    def compute(self, logits: Any, labels: Any) -> float:
        """Return the metric of logits (N, classes) and labels (N), or of outputs (N, 1) and real labels
        (N)."""

    @abstractmethod
    def row_terms(self, outputs: Numbers, labels: NDArray) -> Numbers:
        """Return the terms (N, k) of each row whose sums `statistic` takes; arguments as of `compute`."""


class TextMetric(Metric, ABC):
    """A metric of a model that writes: it compares predicted answers with the expected ones."""

    @abstractmethod
    def applies_to(self, answers: AnswerFormat) -> bool:
        """Return whether this metric is measured on answers of this dataset."""

    @abstractmethod
    def per_row(
        self, predicted: Sequence[str], expected: Sequence[str], answers: AnswerFormat
    ) -> Sequence[float]:
        """Return each answer's own score."""

    def row_terms(
        self, predicted: Sequence[str], expected: Sequence[str], scores: Sequence[float]
    ) -> Numbers:
        """Return the terms (N, k) of each row whose sums `statistic` takes; `scores` are those of `per_row`.

        By default the score itself.
        """
        import numpy as np

        return np.array(scores, np.float64)[:, None]

    def compute(self, predicted: Sequence[str], expected: Sequence[str], answers: AnswerFormat) -> float:
        """Return the metric of all answers together; by default the mean of the rows' scores."""
        scores = self.per_row(predicted, expected, answers)
        return sum(scores) / len(scores)


class UnknownMetric(Metric):
    """A name that a history from elsewhere tells: the score stands as a number."""

    range = (-math.inf, math.inf)

    def __init__(self, key: str) -> None:
        self.key = key  # type: ignore[misc]
        self.title = key  # type: ignore[misc]


def correlation_error(score: float, rows: int) -> float | None:
    """Return the standard error of a correlation r over N rows, about (1 − r²) / √(N − 1); None where r is
    ±1, of which a few rows are enough."""
    unexplained = 1 - score**2
    return unexplained / math.sqrt(rows - 1) if unexplained > 1e-12 else None  # less is rounding


def share_error(score: float, rows: int) -> float:
    """Return the standard error of a share k / N: √(q (1 − q) / (N + 4)) with q = (k + 2) / (N + 4).

    It is not 0 where all are right. Source: A. Agresti, B. A. Coull, The American Statistician 52 (1998), 119
    to 126.
    """
    near = (score * rows + 2) / (rows + 4)
    return math.sqrt(near * (1 - near) / (rows + 4))


def ratio_to_root(numerator: Numbers, variance: Numbers) -> Numbers:
    """Return the ratio numerator / √variance; 0 where rounding leaves the variance of a constant near 0."""
    import numpy as np

    return np.where(variance > _MIN_VARIANCE, numerator / np.sqrt(np.maximum(variance, _MIN_VARIANCE)), 0.0)
