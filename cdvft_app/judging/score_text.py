"""Scores, and differences of them, as text: one form for the page, the terminal, cards and files."""

from __future__ import annotations

from cdvft_app.catalog.entries import SHARES

METRICS = {
    "accuracy": "accuracy",
    "matthews": "Matthews correlation",
    "pearson": "Pearson correlation",
    "exact_match": "exact match",
    "chrf": "chrF",
}
SHORT = METRICS | {"matthews": "Matthews", "pearson": "Pearson"}
"""Where a column's heading leaves little room."""


def metric_title(metric_name: str | None, short: bool = False) -> str:
    """Accuracy; the name itself where it is not known here."""
    name = (SHORT if short else METRICS).get(metric_name or "", metric_name or "score")
    return name[:1].upper() + name[1:] if name.islower() else name


def score(metric_name: str, value: float) -> str:
    """79.7 % or 0.812."""
    return f"{100 * value:.1f}\u00a0%" if metric_name in SHARES else f"{value:.3f}"


def number(metric_name: str, value: float) -> str:
    """A difference as −1.6, in points, or −0.016."""
    text = f"{100 * value:.1f}" if metric_name in SHARES else f"{value:.3f}"
    return text.replace("-", "" if float(text) == 0 else "−")


def difference(metric_name: str, value: float) -> str:
    """1.6 points or 0.016, without a sign."""
    text = number(metric_name, abs(value))
    return f"{text} {'point' if text == '1.0' else 'points'}" if metric_name in SHARES else text
