"""The judge: exact tests, intervals that agree with them, families, halves, false alarms by simulation."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np
import pytest
from scipy.stats import binom, pearsonr
from sklearn.metrics import matthews_corrcoef

from benchmarks.judge import ALARMS, METRICS, contest, share, verdict, word_shares
from cdvft_app.judging.judge import Contestant, Pair, Run, half_of, holm, judge, mcnemar, over_rows
from cdvft_app.judging.row_scores import of_predictions, of_scores, of_wrong
from cdvft_app.store.predictions import Predictions

ROWS = 1024


def contestant(name, *answers):
    return Contestant(
        name, tuple(Run(seed, one.score, len(one.rows), one) for seed, one in enumerate(answers))
    )


def alone(first, second, rows=ROWS):
    """Two runs of which so many rows are right in one alone; half of the rest in both."""
    both = (rows - first - second) // 2
    return (
        contestant("A", of_scores([True] * (both + first) + [False] * (rows - both - first))),
        contestant(
            "B",
            of_scores(
                [True] * both + [False] * first + [True] * second + [False] * (rows - both - first - second)
            ),
        ),
    )


@pytest.mark.parametrize(
    ("counts", "p"), [((0, 0), 1.0), ((1, 0), 1.0), ((5, 5), 1.0), ((0, 6), 2 / 64), ((8, 1), 20 / 512)]
)
def test_mcnemar_of_known_counts(counts, p):
    assert mcnemar(100, *counts).p == pytest.approx(p)
    assert mcnemar(100, *reversed(counts)).p == pytest.approx(p)


def test_the_interval_leaves_out_0_exactly_where_the_test_rejects():
    for first, second in combinations_with_replacement(range(0, 40, 5), 2):
        found = mcnemar(ROWS, first, second)
        low, high = found.interval(0.95)
        assert (low > 0 or high < 0) == (found.p < 0.05), (first, second)
        assert low <= found.size <= high
    assert mcnemar(ROWS, 35, 5).interval(0.95) == pytest.approx(
        [-end for end in mcnemar(ROWS, 5, 35).interval(0.95)][::-1]
    )


def test_runs_that_never_differ_are_not_as_good_on_a_few_rows():
    few, many = (
        judge([Pair((one,), (other,))], "accuracy")[0] for one, other in (alone(0, 0, 20), alone(0, 0, 2000))
    )
    assert (few.word, few.size) == ("not shown", 0)
    assert few.high > 0.1
    assert few.more_rows is None, "fifty times as many and more is no advice"
    assert many.word == "as good"


@pytest.mark.parametrize(
    ("counts", "word"),
    [((80, 50), "ahead"), ((50, 80), "behind"), ((130, 100), "not shown"), ((2, 2), "as good")],
)
def test_two_runs_on_the_same_rows(counts, word):
    first, second = alone(*counts)
    (found,) = judge([Pair((first,), (second,))], "accuracy")
    assert (found.word, found.about, found.alone) == (word, "runs", counts)
    assert found.size == pytest.approx((counts[0] - counts[1]) / ROWS)
    assert (found.rows, found.seeds, found.paired) == (ROWS, (1, 1), True)
    assert found.turned.turned == found
    (turned,) = judge([Pair((second,), (first,))], "accuracy")
    assert replace(turned, low=0, high=0) == replace(found.turned, low=0, high=0)
    assert (turned.low, turned.high) == pytest.approx((found.turned.low, found.turned.high))


def test_how_many_more_rows_would_settle_it():
    """3 points are not shown by 1,024 rows. Rows for a power of 80 %: Connor, Biometrics 43 (1987), 207."""
    (found,) = judge([Pair(*((one,) for one in alone(130, 100)))], "accuracy")
    assert found.more_seeds is None, "one seed tells nothing of how seeds differ"
    discordant, apart = 230 / ROWS, 30 / ROWS
    wanted = (1.96 * discordant**0.5 + 0.8416 * (discordant - apart**2) ** 0.5) ** 2 / apart**2
    assert ROWS + found.more_rows == pytest.approx(wanted, rel=0.1), "the interval is an exact one, not z's"


def test_without_rows_the_interval_is_that_of_two_samples():
    first, second = (
        replace(one, runs=tuple(replace(run, answers=None) for run in one.runs)) for one in alone(80, 50)
    )
    (found,) = judge([Pair((first,), (second,))], "accuracy")
    assert (found.word, found.paired, found.alone) == ("not shown", False, None)
    half = 1.96 * np.sqrt(2 * 0.25 / ROWS)
    assert found.high - found.size == pytest.approx(half, rel=0.01)
    (unknown,) = judge([Pair((first,), (second,))], "chrf")
    assert (unknown.word, unknown.low, unknown.p) == ("not shown", None, None)


def test_other_rows_or_labels_are_not_paired():
    rows, right = np.arange(6), np.array([0, 1, 1, 0, 1, 0])
    outputs = np.eye(2)[[0, 1, 0, 0, 1, 1]]
    one = of_predictions(Predictions(rows, right, outputs), "accuracy")
    assert one.same_rows(of_predictions(Predictions(rows, right, outputs), "accuracy"))
    assert not one.same_rows(of_predictions(Predictions(rows + 1, right, outputs), "accuracy"))
    assert not one.same_rows(of_predictions(Predictions(rows, 1 - right, outputs), "accuracy"))
    assert not one.same_rows(of_predictions(Predictions(rows, right, outputs), "matthews"))
    assert one.same_rows(of_wrong(6, [2, 5])) and one.score == of_wrong(6, [2, 5]).score == 4 / 6


def test_metrics_by_sums_are_those_of_their_libraries():
    chance = np.random.default_rng(0)
    rows, labels, outputs = np.arange(50), chance.integers(0, 3, 50), chance.random((50, 3))
    classes = outputs.argmax(-1)
    found = of_predictions(Predictions(rows, labels, outputs), "matthews")
    assert found.score == pytest.approx(matthews_corrcoef(labels, classes))
    kept = np.delete(rows, 7)
    left_out = 50 * found.score - 49 * matthews_corrcoef(labels[kept], classes[kept])
    assert found.pseudo_values[7] == pytest.approx(left_out)
    values = 1e4 + labels + outputs[:, 0]
    numbers = of_predictions(Predictions(rows, values, outputs[:, :1]), "pearson")
    assert numbers.score == pytest.approx(pearsonr(outputs[:, 0], values).statistic)
    assert of_predictions(Predictions(rows, values, np.ones((50, 1))), "pearson").score == 0


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


def test_a_pair_in_a_family_needs_more():
    first, second = alone(80, 50)
    pair = Pair((first,), (second,))
    assert judge([pair], "accuracy")[0].word == "ahead"
    found = judge([pair], "accuracy", family=10)[0]
    assert (found.word, found.family, found.confidence) == ("not shown", 10, 0.995)
    assert found.p == pytest.approx(10 * judge([pair], "accuracy")[0].p)


def test_the_best_of_many_is_chosen_on_other_rows_than_it_is_judged_on():
    """Twenty settings that guess: the best looks good on all rows, and not on those it was not chosen by."""
    chance = np.random.default_rng(1)
    many = tuple(contestant(f"m{place}", of_scores(chance.random(400) < 0.5)) for place in range(20))
    rival = (contestant("rival", of_scores(np.arange(400) % 2 == 0)),)
    best = max(many, key=lambda one: one.mean)
    assert best.mean >= 0.53
    (found,) = judge([Pair(many, rival)], "accuracy")
    on_half = half_of(np.arange(400))
    assert 190 <= on_half.sum() <= 210
    chosen = max(many, key=lambda one: one.runs[0].answers.at(on_half).score)
    assert (found.first, found.chosen, found.rows, found.word) == (
        chosen.label,
        "other rows",
        400 - on_half.sum(),
        "not shown",
    )
    assert (found.paired, found.confidence) == (True, 0.95)
    scores = [one.runs[0].answers.at(~on_half).score for one in (chosen, rival[0])]
    assert found.size == pytest.approx(scores[0] - scores[1])
    without = tuple(replace(one, runs=tuple(replace(run, answers=None) for run in one.runs)) for one in many)
    (unpaired,) = judge([Pair(without, rival)], "accuracy")
    assert (unpaired.first, unpaired.chosen, unpaired.confidence) == (best.label, "all", 1 - 0.05 / 20)


def test_five_seeds_speak_of_methods_and_four_of_runs():
    chance = np.random.default_rng(5)
    four = verdict(*contest(chance, "accuracy", rows=1000, seeds=4), "accuracy")
    five = verdict(*contest(chance, "accuracy", rows=1000, seeds=5), "accuracy")
    assert (four.about, four.seeds, five.about, five.seeds) == ("runs", (4, 4), "methods", (5, 5))
    assert four.more_seeds and five.more_seeds


def test_seeds_that_differ_count_for_methods_and_not_for_runs(monkeypatch):
    """One lucky seed in five: by the rows of these runs A is ahead, as a method it is not shown."""
    rows = np.arange(2000)
    lucky = [of_scores(rows % 100 < 80 + 10 * (seed == 4)) for seed in range(5)]
    plain = [of_scores(rows % 100 < 80) for seed in range(5)]
    (found,) = judge([Pair((contestant("A", *lucky),), (contestant("B", *plain),))], "accuracy")
    assert (found.word, found.about) == ("not shown", "methods")
    monkeypatch.setattr("cdvft_app.judging.judge.RESAMPLES", 199)
    assert over_rows(lucky, plain).p <= 2 / 200


@pytest.mark.parametrize("metric", METRICS)
def test_tied_methods_are_seldom_called_apart_though_their_seeds_vary(metric):
    assert share(ALARMS, metric, 250, rows=300, seeds=5) <= 0.06


def test_one_run_of_each_would_call_tied_methods_apart_too_often():
    """Which is why the judge then speaks of runs."""
    assert share(ALARMS, "accuracy", 150, rows=4000, seeds=1) > 0.1


@pytest.mark.parametrize("metric", ("matthews", "pearson", "rouge"))
def test_tied_runs_are_seldom_called_apart(metric, monkeypatch):
    monkeypatch.setattr("cdvft_app.judging.judge.RESAMPLES", 199)
    assert share(ALARMS, metric, 60, rows=80, seeds=1, apart=0.0) <= 0.08


def test_tied_runs_by_mcnemar_by_its_exact_size():
    """Of 130 rows that differ, the chance of a split that is called one is below 5 %."""
    called = [first for first in range(131) if mcnemar(ROWS, first, 130 - first).p < 0.05]
    assert 0.03 < binom.pmf(called, 130, 0.5).sum() < 0.05


def test_a_gap_of_two_points_is_seen_by_five_seeds():
    assert word_shares("accuracy", 60, rows=4000, seeds=5, gap=0.02)["behind"] > 0.6
