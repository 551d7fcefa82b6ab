"""The difference of two sides, and the score of one, with scipy as the second opinion."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from scipy import stats

from cdvft_app.judging import judge
from cdvft_app.judging.judge import (
    Contestant,
    Run,
    band,
    of_difference,
    of_mean,
    over_rows,
    unpaired,
)
from cdvft_app.judging.row_scores import of_predictions, of_scores
from cdvft_app.store.predictions import Predictions

FEW = 199  # rows drawn again so often, here


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(judge, "RESAMPLES", FEW)


def rouge(seed, rows=40, better=0.0):
    return np.random.default_rng(seed).random(rows) + better


def classified(answers, labels):
    rows = np.arange(len(labels))
    return of_predictions(Predictions(rows, np.asarray(labels), np.eye(2)[answers]), "matthews")


def mean_difference(x, y, axis):
    return x.mean(axis) - y.mean(axis)


def test_scores_a_row_by_scipys_permutation_and_bootstrap(few):
    first, second = rouge(1, better=0.15), rouge(2)
    found = over_rows([of_scores(first)], [of_scores(second)])
    permuted = stats.permutation_test(
        (first, second), mean_difference, permutation_type="samples", n_resamples=FEW,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    assert (found.size, found.p) == (pytest.approx(permuted.statistic), permuted.pvalue)
    assert 0.01 < found.p < 0.2, "else any p would be right"
    for confidence in (0.9, 0.95):
        drawn = stats.bootstrap(
            (first - second,), np.mean, n_resamples=FEW, confidence_level=confidence, method="BCa",
            rng=np.random.default_rng(0),
        ).confidence_interval  # fmt: skip
        assert found.interval(confidence) == pytest.approx((drawn.low, drawn.high))


def test_correlations_of_two_runs_each_are_drawn_again_row_by_row(few):
    """Of two classes Matthews is the correlation of labels and answers as 0 and 1."""
    chance = np.random.default_rng(4)
    labels = chance.integers(0, 2, 40)
    sides = [[np.where(chance.random(40) < right, labels, 1 - labels) for _ in "ab"] for right in (0.9, 0.7)]
    first, second = ([classified(answers, labels) for answers in side] for side in sides)

    def by_the_library(rows):
        every = np.corrcoef([labels[rows], *(answers[rows] for side in sides for answers in side)])[0, 1:]
        return every[:2].mean() - every[2:].mean()

    found = over_rows(first, second)
    assert found.size == pytest.approx(by_the_library(np.arange(40)))
    drawn = stats.bootstrap(
        (np.arange(40),), by_the_library, vectorized=False, n_resamples=FEW, confidence_level=0.9,
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    assert found.interval(0.9) == pytest.approx((drawn.low, drawn.high))


def test_of_many_rows_the_jackknife_is_the_paired_t_test(few, monkeypatch):
    monkeypatch.setattr(judge, "MAX_RESAMPLED", 30)
    for rows in (30, 31):
        first, second = rouge(1, rows, better=0.1), rouge(2, rows)
        found = over_rows([of_scores(first)], [of_scores(second)])
        known = stats.ttest_rel(first, second)
        assert found.size == pytest.approx((first - second).mean())
        assert (found.p == pytest.approx(known.pvalue)) == (rows > 30)
    low, high = found.interval(0.9)
    assert (low, high) == pytest.approx(tuple(known.confidence_interval(0.9)))
    assert found.alone is None


SCORES = {0: [0.70, 0.72], 1: [0.80], 2: [0.76]}  # means 0.71, 0.80, 0.76
OTHERS = {0: [0.69], 1: [0.75], 2: [0.74]}
ROWS = 10**12  # so many that the rows' part is nothing


def test_scores_alone_of_other_seeds_are_compared_by_welch():
    _, over = unpaired("accuracy", ROWS, SCORES, {seed + 1: own for seed, own in OTHERS.items()})
    known = stats.ttest_ind([0.71, 0.80, 0.76], [0.69, 0.75, 0.74], equal_var=False)
    assert over.p == pytest.approx(known.pvalue)
    assert over.interval(0.95) == pytest.approx(tuple(known.confidence_interval(0.95)))


def test_welch_over_rows_and_seeds_at_once():
    """Sides of other seeds: the seeds' part by Welch, the rows' part by the row's mean differences."""
    first, second = np.random.default_rng(0).random((2, 3, 7))
    found = of_difference(first, second[:2], paired=False)
    known = stats.ttest_ind(first.mean(1), second[:2].mean(1), equal_var=False)
    assert (found.size, found.seeds) == (pytest.approx(first.mean() - second[:2].mean()), 2)
    assert (sqrt(found.var_seeds), found.df_seeds) == pytest.approx((known._standard_error, known.df))
    assert found.var_residual == pytest.approx(of_mean(first).var_residual + of_mean(second[:2]).var_residual)
    assert of_mean(first).size == pytest.approx(first.mean())
    by_row = first.mean(0) - second[:2].mean(0)
    assert (found.var_rows, found.df_rows) == (pytest.approx(stats.sem(by_row) ** 2), 6)


# The 95 % interval of one side's score, which a chart draws


def contestant(*scores, rows, answers=None):
    return Contestant("A", tuple(Run(seed, one, rows, answers) for seed, one in enumerate(scores)))


def test_the_band_of_a_share_is_that_of_a_binomial():
    """Agresti and Coull's error of 800 right of 1,000, times the 97.5 % quantile of t with 999 degrees."""
    near = 802 / 1004
    expected = stats.t(999).ppf(0.975) * sqrt(near * (1 - near) / 1004)
    low, high = band(contestant(0.8, rows=1000), "accuracy")
    assert (low, high) == pytest.approx((0.8 - expected, 0.8 + expected))
