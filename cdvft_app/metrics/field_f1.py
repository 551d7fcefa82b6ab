"""Field F1: the harmonic mean of precision and recall over all pairs of a field and its value."""

from __future__ import annotations

from collections.abc import Sequence

from cdvft_app.metrics.base import AnswerFormat, TextMetric
from cdvft_app.metrics.fields import count_pairs


class FieldF1(TextMetric):
    key = "field_f1"
    title = "field F1"
    short_title = "Field F1"

    def applies_to(self, answers: AnswerFormat) -> bool:
        return bool(answers.fields)

    def per_row(
        self, predicted: Sequence[str], expected: Sequence[str], answers: AnswerFormat
    ) -> Sequence[float]:
        return [_f1(*pair) for pair in count_pairs(predicted, expected, answers.fields)]

    def compute(self, predicted: Sequence[str], expected: Sequence[str], answers: AnswerFormat) -> float:
        """Return the F1 over the pairs of all rows together; 0 where there are none."""
        pairs = count_pairs(predicted, expected, answers.fields)
        return _f1(sum(shared for shared, _ in pairs), sum(total for _, total in pairs))


def _f1(shared: int, total: int) -> float:
    return float(2 * shared / total) if total else 0.0


METRIC = FieldF1()
