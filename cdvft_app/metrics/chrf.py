"""chrF: sacrebleu's chrF2, a character n-gram F-score of free text, in 0..1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cdvft_app.metrics.base import AnswerFormat, TextMetric


class ChrF(TextMetric):
    key = "chrf"
    title = "chrF"
    packages = ("sacrebleu",)

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


def _scorer() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


METRIC = ChrF()
