"""The judge: exact tests, intervals that agree with them, families, halves, words, what would settle a pair,
several races together, false alarms by simulation."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np
import pytest

from cdvft_app.judging.judge import (
    Contestant,
    Pair,
    Run,
    exchange_bound,
    holm,
    judge,
    mcnemar,
    over_rows,
)
from cdvft_app.judging.row_scores import of_scores, of_wrong

ROWS = 1024


def answered(*answers):
    return tuple(Run(seed, one.score, len(one.rows), one) for seed, one in enumerate(answers))


def alone(first, second, rows=ROWS):
    """Two runs of which so many rows are right in one alone, and all others in both."""
    return answered(of_wrong(rows, range(second))), answered(of_wrong(rows, range(second, second + first)))


def pair(first, second):
    return Pair((Contestant("A", tuple(first)),), (Contestant("B", tuple(second)),))


def judged(first, second, metric="accuracy", family=None):
    (found,) = judge([pair(first, second)], metric, family)
    return found


@pytest.mark.parametrize(
    ("counts", "p"), [((0, 0), 1.0), ((1, 0), 1.0), ((5, 5), 1.0), ((0, 6), 2 / 64), ((8, 1), 20 / 512)]
)
def test_mcnemar_of_known_counts(counts, p):
    assert mcnemar(100, *counts).p == mcnemar(100, *reversed(counts)).p == pytest.approx(p)


def test_the_interval_leaves_out_0_exactly_where_the_test_rejects():
    for first, second in combinations_with_replacement(range(0, 40, 5), 2):
        found = mcnemar(ROWS, first, second)
        low, high = found.interval(0.95)
        assert (low > 0 or high < 0) == (found.p < 0.05), (first, second)
        assert low <= found.size <= high
        assert mcnemar(ROWS, second, first).interval(0.95) == pytest.approx((-high, -low))


@pytest.mark.parametrize("rows", [6, 11, 14])
def test_the_bound_of_exchanges_is_no_smaller_than_all_of_them_give(rows):
    drawn = np.random.default_rng(rows)
    for shift in (0.0, 0.5, 2.0):
        one = drawn.normal(shift, 1, rows)
        signs = 1 - 2 * ((np.arange(2**rows)[:, None] >> np.arange(rows)) & 1)
        exact = np.mean(np.abs(signs @ one) >= abs(one.sum()) - 1e-9)
        bound = exchange_bound([of_scores(one)], [of_scores(np.zeros(rows))])
        assert exact <= bound == pytest.approx(2 * np.exp(-(one.sum() ** 2) / (2 * (one**2).sum())))
    assert exchange_bound([of_scores(np.ones(4))], [of_scores(np.ones(4))]) == 1


@pytest.mark.parametrize(
    ("counts", "word"),
    [((80, 50), "ahead"), ((50, 80), "behind"), ((130, 100), "not shown"), ((2, 2), "as good")],
)
def test_two_runs_on_the_same_rows(counts, word):
    first, second = alone(*counts)
    found, turned = judged(first, second), judged(second, first)
    assert (found.word, found.about, found.alone) == (word, "runs", counts)
    assert found.size == pytest.approx((counts[0] - counts[1]) / ROWS)
    assert (found.rows, found.seeds, found.paired) == (ROWS, (1, 1), True)
    assert found.turned.turned == found and replace(found, seeds=(5, 8)).turned.seeds == (8, 5)
    assert replace(turned, first="B", second="A", low=0, high=0) == replace(found.turned, low=0, high=0)
    assert (turned.low, turned.high) == pytest.approx((found.turned.low, found.turned.high))


def test_holm_corrects_a_family_once():
    corrected = holm([0.02, 0.01, 0.3], 3)
    assert [p for p, _ in corrected] == pytest.approx([0.04, 0.03, 0.3])
    assert [divisor for _, divisor in corrected] == [2, 3, 1]
    # Of four that were to be judged one has no runs: it counts as the last.
    assert [p for p, _ in holm([0.02, 0.01, 0.3], 4)] == pytest.approx([0.06, 0.04, 0.6])
    # The first that is not shown keeps its divisor for all after it.
    assert [divisor for _, divisor in holm([0.02, 0.03, 0.001], 3)] == [2, 1, 3]
    assert [divisor for _, divisor in holm([0.04, 0.045, 0.001], 3)] == [2, 2, 3]
    # What is 5 % exactly is not shown.
    assert holm([0.025, 0.03], 2) == [(0.05, 2), (0.05, 2)]


def test_seeds_that_differ_count_for_methods_and_not_for_runs(monkeypatch):
    """One lucky seed in five: by the rows of these runs A is ahead, as a method it is not shown."""
    rows = np.arange(2000)
    lucky = [of_scores(rows % 100 < 80 + 10 * (seed == 4)) for seed in range(5)]
    plain = [of_scores(rows % 100 < 80) for seed in range(5)]
    found = judged(answered(*lucky), answered(*plain))
    assert (found.word, found.about) == ("not shown", "methods")
    monkeypatch.setattr("cdvft_app.judging.judge.RESAMPLES", 199)
    assert over_rows(lucky, plain).p <= 2 / 200
