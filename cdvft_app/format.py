"""Amounts, times, shares and lists as text; assets/js/shared/format.js is its like for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Unit = Literal["count", "bytes", "flops", "seconds"]

_PREFIXES = ("", "k", "M", "G", "T", "P", "E")


def amount(kind: Unit, value: float) -> str:
    """55,296 · 231 kB · 3.13 GFLOP · 38.0 ms: three digits and a decimal prefix, counts in full."""
    if kind == "count":
        return f"{round(value):,}"
    if kind == "seconds":
        return f"{_digits(1e3 * value)} ms" if value < 1 else f"{_digits(value)} s"
    unit = {"bytes": "B", "flops": "FLOP"}[kind]
    if value < 999.5 and value == int(value):
        return f"{value:.0f} {unit}"
    for prefix in _PREFIXES:
        if value < 999.5 or prefix == _PREFIXES[-1]:
            return f"{_digits(value)} {prefix}{unit}"
        value /= 1000
    raise AssertionError


def duration(seconds: float) -> str:
    """340 ms, 3.4 s, 39 s, 5 min, 2.4 h or 3 days: as exact as a forecast is."""
    if seconds < 1:
        return f"{1e3 * seconds:.2g} ms" if seconds < 0.0995 else f"{1e3 * seconds:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.0f} days"


def exact_duration(seconds: float) -> str:
    """45 s, 12 min, 3 h 20 min: of time that is counted, as a budget's."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def training_time(seconds: float) -> str:
    """38 s, 1:40 min or 1:02:09 h: of a run, as the page's tables have it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def counted(number: float, noun: str) -> str:
    """0 rows, 1 row, 1,024 rows, 1.5 epochs."""
    written = f"{number:,}" if isinstance(number, int) else f"{number:g}"
    return f"{written} {noun}{'' if number == 1 else 's'}"


def joined(parts: Sequence[str]) -> str:
    """Return the texts as one list in a sentence: a, b and c."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def plain(text: str) -> str:
    """Return the text with usual spaces in place of those that do not break a line."""
    return text.replace("\u00a0", " ")


def times(ratio: float) -> str:
    """Return a ratio with three digits: 5.33, 0.434, 29.0; a whole one as it is."""
    return f"{ratio:,.0f}" if ratio == int(ratio) else _digits(ratio)


def percent(share: float) -> str:
    """0.045 %, 1.1 %, 24 %."""
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:,.0f} %"


def _digits(value: float) -> str:
    """Three significant digits with their zeros: 12.0, 0.720, 5,103."""
    return f"{value:#.3g}" if value < 99.95 else f"{value:,.0f}"
