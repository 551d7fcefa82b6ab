"""One side's score: its title, its text, and the 95 % interval that a chart draws."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from scipy.stats import sem, t

from cdvft_app.judging.judge import Contestant, Run, band
from cdvft_app.judging.row_scores import of_predictions, of_scores
from cdvft_app.metrics import get_metric, metric_title
from cdvft_app.store.predictions import Predictions


@pytest.mark.parametrize(
    ("metric", "title", "short"),
    [
        ("accuracy", "Accuracy", "Accuracy"),
        ("exact_match", "Exact match", "Exact match"),
        ("matthews", "Matthews correlation", "Matthews"),
        ("pearson", "Pearson correlation", "Pearson"),
        ("chrf", "chrF", "chrF"),
        ("rouge", "Rouge", "Rouge"),
        (None, "Score", "Score"),
    ],
)
def test_a_metric_has_a_title_and_a_short_one(metric, title, short):
    assert (metric_title(metric), metric_title(metric, short=True)) == (title, short)


def test_scores_and_differences_as_text():
    accuracy, pearson = get_metric("accuracy"), get_metric("pearson")
    assert (accuracy.format(0.797), pearson.format(0.8124)) == ("79.7\u00a0%", "0.812")
    assert (accuracy.format_difference(-0.016), pearson.format_difference(-0.016)) == ("−1.6", "−0.016")
    assert (accuracy.format_difference(-0.0004), accuracy.format_difference(0.012)) == ("0.0", "1.2")
    assert (accuracy.format_distance(-0.01), pearson.format_distance(-0.016)) == ("1.0 point", "0.016")


def contestant(*scores, rows, answers=None):
    return Contestant("A", tuple(Run(seed, one, rows, answers) for seed, one in enumerate(scores)))


def half_width(interval):
    return (interval[1] - interval[0]) / 2


def test_the_band_of_a_share_is_that_of_a_binomial():
    """Agresti and Coull's error of 800 right of 1,000, times the 97.5 % quantile of t with 999 degrees."""
    near = 802 / 1004
    expected = t(999).ppf(0.975) * sqrt(near * (1 - near) / 1004)
    low, high = band(contestant(0.8, rows=1000), "accuracy")
    assert (low, high) == pytest.approx((0.8 - expected, 0.8 + expected))


def test_a_band_ends_where_the_metric_does():
    low, high = band(contestant(0.999, rows=40), "accuracy")
    assert low < 0.95 and high == 1
    assert band(contestant(0.99, rows=8), "pearson")[1] <= 1


def test_the_band_of_answers_is_that_of_their_rows_with_a_formula_or_without():
    answers = of_scores([True] * 800 + [False] * 200)
    low, high = band(contestant(0.8, rows=1000, answers=answers), "accuracy")
    expected = t(999).ppf(0.975) * sqrt(0.8 * 0.2 / 999)
    assert (low, high) == pytest.approx((0.8 - expected, 0.8 + expected))
    answers = of_scores([0.2, 0.5, 0.9, 0.4])
    found = band(contestant(0.5, rows=4, answers=answers), "rouge")
    assert found == pytest.approx(t.interval(0.95, 3, 0.5, sem(answers.terms[:, 0])))


def test_the_band_of_a_correlation_lies_around_it():
    """Not around the jackknife's, which is freed of bias."""
    labels, given = np.array([0, 1, 1, 1, 1, 0, 1, 1]), np.array([0, 1, 1, 1, 0, 0, 1, 1])
    answers = of_predictions(Predictions(np.arange(8), labels, np.eye(2)[given]), "matthews")
    assert answers.pseudo_values.mean() > answers.score + 0.01
    low, high = band(contestant(answers.score, rows=8, answers=answers), "matthews")
    assert answers.score - low > 1 - answers.score and high == 1, "as far above, but none is above 1"


def test_the_band_of_a_correlation_and_of_what_has_no_formula():
    for metric in ("pearson", "matthews"):
        low, high = band(contestant(0.9, rows=101), metric)
        assert (high - low) / 2 == pytest.approx(t(100).ppf(0.975) * (1 - 0.81) / 10)
    assert band(contestant(0.9, rows=101), "rouge") is None
    assert band(contestant(0.9, rows=None), "accuracy") is None
    assert band(contestant(0.9, rows=1), "accuracy") is None


def test_seeds_widen_the_band_from_five_on():
    apart = (0.7, 0.75, 0.8, 0.85, 0.9)
    alone, level = half_width(band(contestant(0.8, rows=1000), "accuracy")), [0.8] * 5
    assert half_width(band(contestant(*apart[1:4], 0.8, rows=1000), "accuracy")) == pytest.approx(alone)
    assert half_width(band(contestant(*level, rows=1000), "accuracy")) == pytest.approx(alone, rel=0.02)
    of_five = half_width(band(contestant(*apart, rows=1000), "accuracy"))
    error = 0.0790569 / sqrt(5)  # the standard deviation of the scores, over five; with 4 degrees or more
    assert 2 * alone < 1.96 * error < of_five < t(4).ppf(0.975) * error + alone
