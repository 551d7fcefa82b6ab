"""chrF: sacrebleu's chrF2, a character n-gram F-score of free text, in 0..1.

With wₙ, eₙ and sₙ the n-grams that are written, expected and shared, each summed over the rows,

    g = 5 P R / (4 P + R),     P = mean of sₙ / wₙ,     R = mean of sₙ / eₙ,

over those n of 1 to 6 of which both sides have some. Spaces do not count. Source: M. Popović, chrF: character
n-gram F-score for automatic MT evaluation, Proceedings of WMT 2015, 392 to 395.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from cdvft_app.metrics.base import AnswerFormat, Numbers, TextMetric

ORDERS = range(1, 7)


class ChrF(TextMetric):
    key = "chrf"
    title = "chrF"
    packages = ("sacrebleu",)

    @staticmethod
    def statistic(sums: Numbers, count: Numbers) -> Numbers:
        """Return the metric from sums (..., 18) of the n-grams written, expected, and shared, by n."""
        import numpy as np

        written, expected, shared = np.split(sums, 3, -1)
        known = (written > 0) & (expected > 0)
        orders = np.maximum(known.sum(-1), 1)
        precision, recall = (
            np.where(known, shared / np.maximum(side, 1), 0).sum(-1) / orders for side in (written, expected)
        )
        below = 4 * precision + recall
        return 5 * precision * recall / np.where(below > 0, below, 1)

    def applies_to(self, answers: AnswerFormat) -> bool:
        return answers.metric == self.key and not answers.fields

    def per_row(
        self, predicted: Sequence[str], expected: Sequence[str], answers: AnswerFormat
    ) -> Sequence[float]:
        scorer = _scorer()
        rows = zip(predicted, expected, strict=True)
        return [scorer.sentence_score(one, [other]).score / 100 for one, other in rows]

    def compute(self, predicted: Sequence[str], expected: Sequence[str], answers: AnswerFormat) -> float:
        """Return the score of the n-grams of all rows together."""
        return _scorer().corpus_score(list(predicted), [list(expected)]).score / 100

    def row_terms(
        self, predicted: Sequence[str], expected: Sequence[str], scores: Sequence[float]
    ) -> Numbers:
        import numpy as np

        counts = [_counts(*row) for row in zip(predicted, expected, strict=True)]
        return np.array(counts, np.float64).reshape(-1, 3 * len(ORDERS))


def _counts(predicted: str, expected: str) -> list[int]:
    """Return the n-grams written, expected, and shared, by n; those written only where some are expected."""
    texts = ["".join(text.split()) for text in (predicted, expected)]
    written, right = (
        [Counter(text[at : at + n] for at in range(len(text) - n + 1)) for n in ORDERS] for text in texts
    )
    pairs = [*zip(written, right, strict=True)]
    return [
        *(one.total() if other else 0 for one, other in pairs),
        *(other.total() for _, other in pairs),
        *((one & other).total() for one, other in pairs),
    ]


def _scorer() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


METRIC = ChrF()
