"""The ratios of benchmarks are of turns, in which no candidate is always the first."""

from __future__ import annotations

import pytest

from benchmarks import products
from benchmarks.rounds import rotated


def test_another_one_is_first_in_each_turn() -> None:
    assert [rotated("abc", turn) for turn in range(4)] == [[*"abc"], [*"bca"], [*"cab"], [*"abc"]]


def test_runs_alternate_after_a_turn_that_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[bool] = []
    seconds = {False: iter([100.0, 2.0, 4.0]), True: iter([90.0, 1.0, 3.0])}

    def run(recipe: str, is_faster: bool) -> float:
        order.append(is_faster)
        return next(seconds[is_faster])

    monkeypatch.setattr(products, "run", run)
    found = products.in_turns("mnist", rounds=2)
    assert found == {"linear": [2.0, 4.0], "convolved": [1.0, 3.0], "time": 0.625}
    assert order == [False, True, True, False, False, True]
