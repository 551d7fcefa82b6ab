"""Amounts and times as text."""

from __future__ import annotations

import pytest

from cdvft_app.format import amount, duration, exact_duration, percent, training_time


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
    ("seconds", "text"), [(12.3, "12 s"), (99.4, "99 s"), (100, "1:40 min"), (3729, "1:02:09 h")]
)
def test_a_time_of_training_is_written_as_in_the_page_s_tables(seconds: float, text: str) -> None:
    assert training_time(seconds) == text


def test_nothing_left_is_no_time() -> None:
    assert exact_duration(0) == exact_duration(1e-10) == "0 s"


@pytest.mark.parametrize(
    ("share", "text"), [(0.00045, "0.045 %"), (0.011, "1.1 %"), (0.24, "24 %"), (15.2, "1,520 %")]
)
def test_shares_have_two_digits(share: float, text: str) -> None:
    assert percent(share) == text


def test_amounts_have_three_digits_and_a_prefix_and_counts_all() -> None:
    found = (
        amount("count", 55_296),
        amount("bytes", 231_400),
        amount("flops", 3.128e9),
        amount("seconds", 0.038),
    )
    assert found == ("55,296", "231 kB", "3.13 GFLOP", "38.0 ms")
