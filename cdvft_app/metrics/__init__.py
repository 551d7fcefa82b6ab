"""The metrics, one file each; a new one is a file that holds a `METRIC`, and a line here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module

from cdvft_app.metrics.base import AnswerFormat, LabelledMetric, Metric, TextMetric, UnknownMetric

METRICS: Mapping[str, Metric] = {
    name: import_module(f"{__name__}.{name}").METRIC
    for name in (
        "accuracy",
        "matthews",
        "pearson",
        "exact_match",
        "field_f1",
        "chrf",
    )
}


def get_metric(name: str | None) -> Metric:
    """Return the metric of this name; one that only has a title where it is not known here."""
    return METRICS.get(name or "") or UnknownMetric(name or "score")


def metric_title(name: str | None, short: bool = False) -> str:
    """Return the metric's title as a heading, such as Accuracy; the name itself where it is not known
    here."""
    metric = get_metric(name)
    title = (short and metric.short_title) or metric.title
    return title.capitalize() if title.islower() else title


def measure_texts(
    predicted: Sequence[str], expected: Sequence[str], answers: AnswerFormat
) -> dict[str, float]:
    """Return every metric that applies to such answers, of all rows together, by its key."""
    return {one.key: one.compute(predicted, expected, answers) for one in _applying(answers)}


def measure_each_text(
    predicted: Sequence[str], expected: Sequence[str], answers: AnswerFormat
) -> list[dict[str, float]]:
    """Return the same metrics of each answer by itself."""
    scores = {one.key: one.per_row(predicted, expected, answers) for one in _applying(answers)}
    return [dict(zip(scores, row, strict=True)) for row in zip(*scores.values(), strict=True)]


def _applying(answers: AnswerFormat) -> list[TextMetric]:
    return [one for one in METRICS.values() if isinstance(one, TextMetric) and one.applies_to(answers)]


__all__ = [
    "METRICS",
    "LabelledMetric",
    "Metric",
    "TextMetric",
    "get_metric",
    "measure_each_text",
    "measure_texts",
    "metric_title",
]
