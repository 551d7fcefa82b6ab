"""Exact match: the share of answers that are right in whole.

As text, or what follows the dataset's answer mark, or, of answers with fields, in every field and with none
too many.
"""

from __future__ import annotations

from collections.abc import Sequence

from cdvft_app.metrics.base import AnswerFormat, TextMetric, share_error
from cdvft_app.metrics.fields import count_pairs, wrong_fields

WHOLE = ""
"""In place of a field's name: all of an answer."""


class ExactMatch(TextMetric):
    key = "exact_match"
    title = "exact match"
    percent = True

    def applies_to(self, answers: AnswerFormat) -> bool:
        return True

    def per_row(
        self, predicted: Sequence[str], expected: Sequence[str], answers: AnswerFormat
    ) -> Sequence[float]:
        if answers.fields:
            pairs = count_pairs(predicted, expected, answers.fields)
            return [float(2 * shared == total) for shared, total in pairs]
        mark = answers.answer_mark
        rows = zip(predicted, expected, strict=True)
        return [float(_final(one, mark) == _final(other, mark)) for one, other in rows]

    def standard_error(self, score: float, rows: int) -> float:
        return share_error(score, rows)


def _final(text: str, mark: str) -> str:
    """Return the text after the last mark, or all of it without one; full stops at the end are ignored."""
    return text.rpartition(mark)[2].strip().rstrip(".") if mark else text.strip()


METRIC = ExactMatch()


def wrong_parts(predicted: str, expected: str, answers: AnswerFormat) -> tuple[str, ...]:
    """Return the parts of an answer to mark as wrong: its fields, or `WHOLE` for a text that is right or
    wrong.

    Nothing of free text, whose answers are more or less alike.
    """
    if answers.fields:
        return wrong_fields(predicted, expected, answers.fields)
    is_wrong = answers.metric == METRIC.key and not METRIC.per_row([predicted], [expected], answers)[0]
    return (WHOLE,) if is_wrong else ()
