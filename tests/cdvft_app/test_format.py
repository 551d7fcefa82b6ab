"""Amounts and times as text."""

from __future__ import annotations

import pytest

from cdvft_app.format import amount, duration, exact_duration


@pytest.mark.parametrize(
    ("seconds", "approximate", "exact"),
    [
        (0.0034, "3.4 ms", "0 s"),
        (0.4321, "432 ms", "0 s"),
        (3.44, "3.4 s", "3 s"),
        (39.4, "39 s", "39 s"),
        (99.4, "99 s", "99 s"),
        (127, "2 min", "2 min"),
        (5940, "99 min", "99 min"),
        (6000, "1.7 h", "1 h 40 min"),
        (7200, "2.0 h", "2 h"),
        (7260, "2.0 h", "2 h 1 min"),
        (3600 * 50, "2 days", "50 h"),
    ],
)
def test_a_forecast_is_approximate_and_a_budget_exact(seconds: float, approximate: str, exact: str) -> None:
    assert (duration(seconds), exact_duration(seconds)) == (approximate, exact)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("count", 55_296, "55,296"),
        ("bytes", 231_008, "231 kB"),
        ("bytes", 53_032, "53.0 kB"),
        ("bytes", 12, "12 B"),
        ("flops", 6.257e9, "6.26 GFLOP"),
        ("flops", 999_600, "1.00 MFLOP"),
        ("flops", 2.5e20, "250 EFLOP"),
        ("seconds", 0.0382, "38.2 ms"),
        ("seconds", 1.5, "1.50 s"),
        ("seconds", 12.04, "12.0 s"),
    ],
)
def test_amounts_have_three_digits_and_a_prefix_and_counts_all(kind, value: float, text: str) -> None:
    assert amount(kind, value) == text
