"""How right the answers to a file's rows are, as a sentence with 95 % intervals.

It imports nothing of the app: exports have it beside their apply.py as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist, fmean, variance
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Interval = tuple[float, float]
T_OF_FEW = (12.7062, 4.3027, 3.1824, 2.7764)
"""The quantile of `t_quantile` for 1 to 4 degrees of freedom, where its series is not near enough."""


def of_right(title: str, right: Sequence[bool]) -> str:
    """Return the sentence on answers that are right or wrong.

    `title` names the metric.

    Where all are alike, which says nothing of how they vary, the error is that of A. Agresti and B. A. Coull,
    The American Statistician 52 (1998), 119 to 126.
    """
    count, share = len(right), sum(right) / len(right)
    near = (sum(right) + 2) / (count + 4)
    variance = share * (1 - share) / (count - 1) if 0 < share < 1 else near * (1 - near) / (count + 4)
    interval = _around(share, variance, count, 0, 1) if count > 1 else None
    return sentence(title, per_cent, share, interval, count, wrong=count - sum(right))


def of_scores(title: str, scores: Sequence[float]) -> str:
    """Return the sentence on answers with a score each, from 0 to 1; no interval where all are alike."""
    mean = fmean(scores)
    spread = variance(scores) if len(scores) > 1 else 0.0
    interval = _around(mean, spread / len(scores), len(scores), 0, 1) if spread else None
    return sentence(title, "{:.3f}".format, mean, interval, len(scores))


def of_classes(title: str, answers: Sequence[str], labels: Sequence[str]) -> str:
    """Return the sentence on classes: Matthews' correlation, its jackknife interval, and the wrong ones.

    g = (N c - sum(a b)) / sqrt((N^2 - sum(a^2)) (N^2 - sum(b^2))), with c the rows that are right, and a, b
    how often each class is answered and true.
    """
    import numpy as np

    classes = sorted({*answers, *labels})
    true, answered = (
        np.array([[one == name for name in classes] for one in side], dtype=np.float64)
        for side in (labels, answers)
    )
    right = (true * answered).sum(1, keepdims=True)

    def correlation(sums: np.ndarray, rows: int) -> np.ndarray:
        true, answered = sums[..., : len(classes)], sums[..., len(classes) : -1]
        variance = (rows**2 - (true**2).sum(-1)) * (rows**2 - (answered**2).sum(-1))
        return _ratio_to_root(rows * sums[..., -1] - (true * answered).sum(-1), variance)

    score, interval = _by_jackknife(np.column_stack([true, answered, right]), correlation)
    count = len(labels)
    return sentence(title, "{:.3f}".format, score, interval, count, wrong=count - int(right.sum()))


def of_numbers(title: str, answers: Sequence[float], labels: Sequence[float]) -> str:
    """Return the sentence on numbers: Pearson's correlation, its jackknife interval, and the mean error."""
    import numpy as np

    count = len(labels)
    x, y = (
        (side - side.mean()) / (side.std() or 1.0) for side in np.array([answers, labels], dtype=np.float64)
    )

    def correlation(sums: np.ndarray, rows: int) -> np.ndarray:
        x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
        return _ratio_to_root(rows * xy - x * y, (rows * xx - x**2) * (rows * yy - y**2))

    score, interval = _by_jackknife(np.column_stack([x, y, x * x, y * y, x * y]), correlation)
    off = np.abs(np.subtract(answers, labels))
    off_interval = None
    if count > 1:
        off_interval = _around(float(off.mean()), off.var(ddof=1) / count, count, 0, math.inf)
    return sentence(title, "{:.3f}".format, score, interval, count, off=(float(off.mean()), off_interval))


def _ratio_to_root(above: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return above / sqrt(variance); 0 where one side does not vary."""
    import numpy as np

    return np.where(variance > 1e-24, above / np.sqrt(np.maximum(variance, 1e-24)), 0.0)


def _by_jackknife(
    terms: np.ndarray, correlation: Callable[[np.ndarray, int], np.ndarray]
) -> tuple[float, Interval | None]:
    """Return a correlation of sums over rows of terms, and its interval, which is None for one row.

    Where no row changes it, which says nothing of how rows vary, its error is (1 - g^2) / sqrt(N - 1).
    """
    count, sums = len(terms), terms.sum(0)
    score = float(correlation(sums, count))
    if count < 2:
        return score, None
    pseudo = count * score - (count - 1) * correlation(sums - terms, count - 1)
    variance = float(pseudo.var(ddof=1)) / count or (1 - score**2) ** 2 / (count - 1)
    return score, _around(score, variance, count, -1, 1)


def _around(mean: float, variance: float, rows: int, lowest: float, highest: float) -> Interval:
    half = t_quantile(rows - 1) * math.sqrt(variance)
    return max(mean - half, lowest), min(mean + half, highest)


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


def per_cent(share: float) -> str:
    return f"{100 * share:.1f}\u00a0%"


def in_digits(number: float) -> str:
    """Return the number with three digits or more: 0.0123, 12.3, 1,234."""
    decimals = 2 - math.floor(math.log10(abs(number))) if number else 0
    return f"{number:,.{max(0, decimals)}f}"
