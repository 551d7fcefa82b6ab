"""Two methods on the same rows: whether one is right more often than by chance, by the exact McNemar test.

Rows that both get right, or both wrong, do not say which is better. Of the n = b + c others, b are right
in the first alone and c in the second alone; were both equally good, b would follow Binomial(n, 1/2), so

    p = min(1, 2 · Σ_{k=0}^{min(b, c)} C(n, k) / 2ⁿ).

Source: Q. McNemar, Note on the sampling error of the difference between correlated proportions or
percentages, Psychometrika 12 (1947), 153 to 157; exact, it is the sign test on the n rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cdvft_app.store import predictions
from cdvft_app.store.predictions import Predictions
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.store.written_answers import WrittenAnswers

SIGNIFICANCE_LEVEL = 0.05
"""The test's significance level: a difference counts where p is below it."""


@dataclass(frozen=True)
class Paired:
    """How often each of two methods alone is right, of so many rows."""

    rows: int
    first_alone: int
    second_alone: int

    @property
    def p_value(self) -> float:
        return mcnemar(self.first_alone, self.second_alone)

    @property
    def differ(self) -> bool:
        return self.p_value < SIGNIFICANCE_LEVEL


def mcnemar(first_alone: int, second_alone: int) -> float:
    """The two-sided p of the test above; 1 where no row tells them apart."""
    pairs, fewer = first_alone + second_alone, min(first_alone, second_alone)
    chosen = total = 1  # C(n, k), and their sum
    for k in range(fewer):
        chosen = chosen * (pairs - k) // (k + 1)
        total += chosen
    return min(1.0, 2 * total / 2**pairs)


Answers = Predictions | WrittenAnswers
"""Of which each row is right or wrong: of a classifier, or of a model that writes."""


def compare(first: Answers, second: Answers) -> Paired | None:
    """Of two runs; None where they did not answer the same rows."""
    if not (np.array_equal(first.rows, second.rows) and np.array_equal(first.labels, second.labels)):
        return None
    one, other = first.correct, second.correct
    return Paired(len(one), int((one & ~other).sum()), int((other & ~one).sum()))


def of_runs(store: RunStore, first: str, second: str) -> Paired | None:
    """Of two runs by their ids; None where one of them keeps no answers, or for other rows."""
    try:
        one, other = (predictions.read_either(store.folder(run_id)) for run_id in (first, second))
    except StoreError:  # the recorded race, or a run that was deleted meanwhile
        return None
    return compare(one, other) if one and other else None
