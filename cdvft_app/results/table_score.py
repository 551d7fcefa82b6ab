"""How right the answers to a file's rows are, as a sentence with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

from cdvft_app.metrics import LabelledMetric, Metric, TextMetric, metric_title

if TYPE_CHECKING:
    import numpy as np

Interval = tuple[float, float]
T_OF_FEW = (12.7062, 4.3027, 3.1824, 2.7764)
"""The quantile of `t_quantile` for 1 to 4 degrees of freedom, where its series is not near enough."""
ONE_HOT = 4096  # rows
ROUNDING = 1e-9  # of pseudovalues, below which they are alike


def of_classes(
    metric: LabelledMetric, classes: Sequence[str], answers: Sequence[str], labels: Sequence[str]
) -> str:
    """Return the sentence on answers that are one of the classes, as the labels are."""
    import numpy as np

    number = {name: place for place, name in enumerate(classes)}
    answered, expected = (np.array([number[one] for one in side]) for side in (answers, labels))
    terms = class_terms(metric, len(classes), answered, expected)
    return _judged(metric, terms, wrong=int((answered != expected).sum()))


def class_terms(
    metric: LabelledMetric, classes: int, answered: np.ndarray, expected: np.ndarray
) -> np.ndarray:
    """Return the metric's terms (N, k) of rows whose answers and labels are numbers of classes (N)."""
    import numpy as np

    every = np.eye(classes)
    places = range(0, max(1, len(answered)), ONE_HOT)
    parts = [(answered[start : start + ONE_HOT], expected[start : start + ONE_HOT]) for start in places]
    return np.concatenate([metric.row_terms(every[one], other) for one, other in parts])


def of_numbers(metric: LabelledMetric, answers: Sequence[float], labels: Sequence[float]) -> str:
    """Return the sentence on answers that are numbers, with the mean of their absolute errors."""
    import numpy as np

    outputs, expected = np.array(answers, np.float64), np.array(labels, np.float64)
    errors = np.abs(outputs - expected)
    mean, interval = float(errors.mean()), None
    if len(errors) > 1:
        interval = _around(mean, errors.std(ddof=1) / math.sqrt(len(errors)), len(errors), (0, math.inf))
    return _judged(metric, metric.row_terms(outputs[:, None], expected), off=(mean, interval))


def of_texts(
    metric: TextMetric, answers: Sequence[str], labels: Sequence[str], scores: Sequence[float]
) -> str:
    """Return the sentence on written answers with a score each; of a share a row is right with 1."""
    wrong = sum(one != 1 for one in scores) if metric.percent else None
    return _judged(metric, metric.row_terms(answers, labels, scores), wrong=wrong)


def _judged(
    metric: Metric,
    terms: np.ndarray,
    *,
    wrong: int | None = None,
    off: tuple[float, Interval | None] | None = None,
) -> str:
    """Return the sentence on a metric of the terms (N, k) of N rows, with its jackknife interval.

    Where no row changes the metric, which says nothing of how rows vary, its own standard error stands in.
    There is no interval where it has none, or for one row.
    """
    import numpy as np

    count, sums = len(terms), terms.sum(0)
    score, interval = float(metric.statistic(sums, np.asarray(float(count)))), None
    if count > 1:
        pseudo = count * score - (count - 1) * metric.statistic(sums - terms, np.full(count, count - 1.0))
        deviation = float(pseudo.std(ddof=1))
        error = deviation / math.sqrt(count) if deviation > ROUNDING else metric.standard_error(score, count)
        interval = None if error is None else _around(score, error, count, metric.range)
    return sentence(metric_title(metric.key), metric.format, score, interval, count, wrong=wrong, off=off)


def _around(mean: float, error: float, rows: int, limits: Interval) -> Interval:
    """Return the interval of a mean over rows with this standard error, within the limits."""
    half = t_quantile(rows - 1) * error
    return max(mean - half, limits[0]), min(mean + half, limits[1])


def t_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t. Source: M. Abramowitz and I. Stegun, 26.7.5."""
    if freedom <= len(T_OF_FEW):
        return T_OF_FEW[freedom - 1]
    z = NormalDist().inv_cdf(0.975)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))


def sentence(
    title: str,
    write: Callable[[float], str],
    score: float,
    interval: Interval | None,
    rows: int,
    *,
    wrong: int | None = None,
    off: tuple[float, Interval | None] | None = None,
) -> str:
    """Return "Accuracy 79.7 % (95 % interval 77.0 % to 82.4 %) over 900 rows with a label; 183 are wrong."

    `off`: the mean absolute error in the labels' own unit, and its interval.
    """

    def with_interval(write: Callable[[float], str], value: float, interval: Interval | None) -> str:
        within = f" (95 % interval {write(interval[0])} to {write(interval[1])})" if interval else ""
        return write(value) + within

    text = f"{title} {with_interval(write, score, interval)} over {rows:,} row{'' if rows == 1 else 's'}"
    text += " with a label"
    if off:
        text += f"; an answer is off by {with_interval(in_digits, *off)} on average"
    if wrong is not None:
        text += f"; {wrong:,} {'is' if wrong == 1 else 'are'} wrong"
    return f"{text}."


def in_digits(number: float) -> str:
    """Return the number with three digits or more: 0.0123, 12.3, 1,234."""
    decimals = 2 - math.floor(math.log10(abs(number))) if number else 0
    return f"{number:,.{max(0, decimals)}f}"
