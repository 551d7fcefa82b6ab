"""Searching a ladder of values for CDVFT's step time."""

from __future__ import annotations

import pytest

from cdvft.cost import Shape
from cdvft_app.measuring.comparison_times import closest, next_value, tries
from cdvft_app.methods import METHODS

LAYERS = [Shape("query", 768, 768, count=12), Shape("dense", 3072, 768, count=12)]


def searched(values, time_of, wanted):
    """Measures until enough is known."""
    seconds = {}
    while (value := next_value(values, seconds, wanted)) is not None:
        assert value not in seconds
        seconds[value] = time_of(value)
    return seconds


@pytest.mark.parametrize("wanted", [0.1, 1.0, 1.5, 7.9, 8.0, 300.0, 512.0, 1e6])
def test_the_value_that_comes_closest_is_found_in_a_few_tries(wanted):
    ranks = METHODS["lora"].ladder(LAYERS)
    seconds = searched(ranks, float, wanted)
    assert len(seconds) <= tries(ranks) == 5
    assert closest(seconds, wanted) == closest({rank: float(rank) for rank in ranks}, wanted)
