"""The score of an exported apply.py against scipy's quantiles and the app's own judge."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import matthews_corrcoef

from cdvft_app.judging.judge import Contestant, Run, band
from cdvft_app.judging.row_scores import RowScores, of_scores
from cdvft_app.metrics import METRICS
from cdvft_app.results import table_score


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 7, 15, 60, 2000])
def test_quantiles_are_students(freedom):
    assert table_score.t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=2e-4)


@pytest.mark.parametrize("right", [[True] * 3 + [False] * 9, [True] * 12, [False] * 12, [True, False]])
def test_shares_have_the_judges_interval(right):
    rows = of_scores(np.array(right))
    low, high = band(Contestant("", (Run(0, rows.score, len(right), rows),)), "accuracy")
    write = METRICS["accuracy"].format
    answered = ["yes"] * len(right), ["yes" if one else "no" for one in right]
    told = table_score.of_classes(METRICS["accuracy"], ["no", "yes"], *answered)
    assert f"{write(rows.score)} (95 % interval {write(low)} to {write(high)})" in told


def interval_of(scores, metric_name):
    """The judge's, in words; a correlation of ±1 over a few rows has none."""
    found = band(Contestant("", (Run(0, scores.score, len(scores.rows), scores),)), metric_name)
    assert (found is None) == (abs(scores.score) > 1 - 1e-12)
    return "" if found is None else " (95 % interval {:.3f} to {:.3f})".format(*found)


@pytest.mark.parametrize("rows", [2, 5, 200])
def test_classes_have_the_judges_interval(rows):
    drawn = np.random.default_rng(rows)
    names = np.array(["a", "b", "c"])
    labels = drawn.integers(0, 3, rows)
    answers = np.where(drawn.random(rows) < 0.6, labels, drawn.integers(0, 3, rows))
    matthews = METRICS["matthews"]
    scores = RowScores(np.arange(rows), matthews.row_terms(np.eye(3)[answers], labels), matthews.statistic)
    told = table_score.of_classes(matthews, [*names], [*names[answers]], [*names[labels]])
    assert told == (
        f"Matthews correlation {matthews_corrcoef(labels, answers):.3f}{interval_of(scores, 'matthews')} "
        f"over {rows} rows with a label; {(wrong := (answers != labels).sum())} "
        f"{'is' if wrong == 1 else 'are'} wrong."
    )


def test_answers_that_do_not_vary_have_no_correlation_and_a_wide_interval():
    half = stats.t.ppf(0.975, 19) / 19**0.5
    told = f"correlation 0.000 (95 % interval -{half:.3f} to {half:.3f}) over 20 rows"
    assert told in table_score.of_classes(METRICS["matthews"], ["a", "b"], ["a"] * 20, ["a", "b"] * 10)
    assert told in table_score.of_numbers(METRICS["pearson"], [5.0] * 20, [1.0, 2.0] * 10)


@pytest.mark.parametrize("rows", [2, 5, 40])
def test_numbers_have_the_judges_interval(rows):
    drawn = np.random.default_rng(rows)
    labels = drawn.normal(500, 90, rows)
    answers = labels + drawn.normal(0, 60, rows)
    pearson = METRICS["pearson"]
    scores = RowScores(np.arange(rows), pearson.row_terms(answers[:, None], labels), pearson.statistic)
    off = np.abs(answers - labels)
    least, most = stats.t.interval(0.95, rows - 1, off.mean(), stats.sem(off))
    assert table_score.of_numbers(pearson, [*answers], [*labels]) == (
        f"Pearson correlation {scores.score:.3f}{interval_of(scores, 'pearson')} over {rows} "
        f"rows with a label; an answer is off by {table_score.in_digits(off.mean())} (95 % interval "
        f"{table_score.in_digits(max(least, 0))} to {table_score.in_digits(most)}) on average."
    )


def test_one_row_has_a_score_without_an_interval():
    assert table_score.of_classes(METRICS["accuracy"], ["a"], ["a"], ["a"]) == (
        "Accuracy 100.0\u00a0% over 1 row with a label; 0 are wrong."
    )
    told = table_score.of_numbers(METRICS["pearson"], [3.0], [5.0])
    assert "0.000 over 1 row with a label; an answer is off by 2.00 on average." in told


def test_texts_that_are_alike_have_no_interval_unless_they_are_right_or_wrong():
    texts = ["a c"] * 6, ["ac d"] * 6  # 2 of 2 and of 3 letters, 1 of 1 and of 2 pairs: P = 1, R = 7 / 12
    told = table_score.of_texts(METRICS["chrf"], *texts, [0.5] * 6)
    assert told == "chrF 0.636 over 6 rows with a label."  # 5 R / (4 + R) = 35 / 55
    told = table_score.of_texts(METRICS["exact_match"], *texts, [1.0] * 6)
    assert "100.0\u00a0% (95 % interval" in told and told.endswith("0 are wrong.")


@pytest.mark.parametrize(
    ("number", "written"), [(0, "0"), (0.01234, "0.0123"), (38.16, "38.2"), (-1234.5, "-1,234")]
)
def test_errors_have_three_digits_or_more(number, written):
    assert table_score.in_digits(number) == written
