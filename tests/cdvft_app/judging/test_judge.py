"""The judge: exact tests, intervals that agree with them, families, halves, words, what would settle a pair,
several races together, false alarms by simulation."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np
import pytest
from scipy import stats

from benchmarks.judge import ALARMS, METRICS, RESULTS, contest, share, verdict, word_shares
from cdvft_app.judging.judge import (
    Contestant,
    Mean,
    Pair,
    Run,
    _word,
    band,
    exchange_bound,
    half_of,
    holm,
    judge,
    judge_pooled,
    mcnemar,
    over_rows,
    over_seeds,
    pooled,
    standard_error,
)
from cdvft_app.judging.row_scores import of_predictions, of_scores, of_wrong
from cdvft_app.judging.verdict_text import settled_by
from cdvft_app.store.predictions import Predictions
from cdvft_app.ui.use.examples import TEST

ROWS = 1024
MANY = 10**12  # rows, so that only seeds count


def scored(*scores, rows=ROWS):
    """The runs of seeds 0, 1, ... that kept no answers."""
    return tuple(Run(seed, score, rows) for seed, score in enumerate(scores))


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


def test_runs_that_never_differ_are_not_as_good_on_a_few_rows():
    few, many = (judged(*alone(0, 0, rows)) for rows in (20, 2000))
    assert (few.word, few.size, few.high > 0.1, many.word) == ("not shown", 0, True, "as good")
    assert few.more_rows is None, "fifty times as many and more is no advice"
    of_two = judged(*alone(0, 0, 20), family=2)  # at a confidence of 97.5 %
    assert of_two.high == pytest.approx(1 - 0.0125 ** (1 / 20))


@pytest.mark.parametrize("seeds", [(2, 2), (5, 5), (2, 1)])
def test_more_seeds_that_never_differ_are_as_good_on_many_rows_alone(seeds):
    """None of 20 rows differs: by Clopper and Pearson up to 1 − 0.025^(1/20) = 17 % of all may."""
    few, many = (judged(*(answered(*[of_wrong(rows, [])] * of) for of in seeds)) for rows in (20, 2000))
    assert (few.word, few.size, few.high) == ("not shown", 0, pytest.approx(1 - 0.025 ** (1 / 20)))
    assert (few.low, few.more_seeds, many.word) == (pytest.approx(-few.high), None, "as good")


def test_all_of_two_rows_say_little_however_many_seeds_agree():
    right, wrong = answered(*[of_wrong(2, [])] * 5), answered(*[of_wrong(2, [0, 1])] * 5)
    found = judged(right, wrong)
    assert (found.word, found.size) == ("not shown", 1) and found.low < 0
    assert judged(*(answered(*[of_wrong(40, one)] * 5) for one in ([], range(40)))).word == "ahead"


@pytest.mark.parametrize("metric", ["matthews", "pearson"])
def test_equal_correlations_are_not_as_good_whatever_the_rows(metric):
    """Two collapses to one class, and two runs that are right throughout, of which a chart shows no band."""
    labels = np.array([0, 1] * 5)
    for given in (labels, np.zeros(10, int)):
        outputs = np.eye(2)[given] if metric == "matthews" else given[:, None]
        side = answered(of_predictions(Predictions(np.arange(10), labels, outputs), metric))
        found = judged(side, side, metric)
        assert (found.word, found.low, found.high) == ("not shown", None, None)
        if given.any():
            assert band(Contestant("A", side), metric) is None


def test_a_difference_that_every_row_has_is_not_known_where_scores_have_no_ends_or_are_no_means():
    """A metric of unknown range; and labels of one class, all right by one run and all wrong by the other."""
    tenths = [answered(of_scores([score] * 10)) for score in (0.3, 0.1)]
    one_class = [
        answered(of_predictions(Predictions(np.arange(10), np.zeros(10, int), np.eye(2)[given]), "matthews"))
        for given in ([0] * 10, [1] * 10)
    ]
    for metric, sides in (("rouge", tenths), ("matthews", one_class)):
        found = judged(*sides, metric)
        assert (found.word, found.low, found.high) == ("not shown", None, None)


def test_a_correlation_that_rounding_alone_keeps_from_1_is_as_little_known():
    assert standard_error("pearson", 1 - 2**-53, 10) is None
    assert standard_error("pearson", 0.8, 10) == pytest.approx(0.36 / 3)


@pytest.mark.parametrize("seeds", [1, 2, 5])
@pytest.mark.parametrize("metric", ["accuracy", "chrf"])
def test_of_one_row_nothing_is_known(seeds, metric):
    one, other = (answered(*[of_scores([score])] * seeds) for score in (0.4, 0.9))
    assert judged(one, other, metric).word == "not shown"
    both = Pair((Contestant("A", one), Contestant("B", one)), (Contestant("C", other),))  # no half of one row
    assert judge([both], metric)[0].word == "not shown"


def test_a_large_family_does_not_hide_what_every_resample_shows():
    """1,000 rows of two seeds, 48 points apart: of 60 comparisons even p = 2 / 2000 would be none."""
    better, worse = of_wrong(1000, range(0, 1000, 10)), of_wrong(1000, range(0, 1000, 2))
    found = judged(answered(better, better), answered(worse, of_wrong(1000, range(580))), family=60)
    assert found.word == "ahead" and found.p < 1e-6


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


def test_where_the_test_alone_is_short_no_rows_are_advised():
    """Of five rows, each about 0.3 apart, no exchange can give less than p = 2 / 2⁵."""
    drawn = np.random.default_rng(0).random(5) / 50
    found = judged(answered(of_scores(0.3 + drawn)), answered(of_scores(np.zeros(5))), "chrf", family=6)
    assert (found.word, found.low > 0, found.p, found.more_rows) == ("not shown", True, 0.375, None)


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


def test_without_rows_the_interval_is_that_of_two_samples():
    found = judged(scored(0.52), scored(0.49))
    assert (found.word, found.paired, found.alone) == ("not shown", False, None)
    assert found.high - found.size == pytest.approx(1.96 * np.sqrt(2 * 0.25 / ROWS), rel=0.01)


def test_what_is_known_of_no_error_has_no_interval():
    """A metric without a formula, and a run of unknown rows."""
    of_chrf = judged(scored(0.8), scored(0.7), "chrf")
    unknown = judged(scored(0.8), scored(0.7, rows=None))
    for found in (of_chrf, unknown):
        assert (found.word, found.low, found.high, found.p) == ("not shown", None, None, None)
        assert found.size == pytest.approx(0.1)
    assert unknown.rows is None


def test_runs_that_did_not_answer_the_same_rows_are_not_paired():
    first = of_scores([True, False] * 50)
    for second in (replace(first, rows=first.rows + 100), None):
        found = judged(answered(first, first), [Run(0, 0.5, 100, first), Run(1, 0.5, 100, second)])
        assert (found.paired, found.rows, found.size) == (False, 100, 0)


def test_the_size_is_that_of_the_rows_which_the_interval_is_of():
    """A metric that was kept with fewer digits than the rows give."""
    one, other = ([replace(run, metric=round(run.metric, 1)) for run in side] for side in alone(90, 60, 1000))
    found = judged(one, other)
    assert (found.size, found.low < found.size < found.high) == (0.03, True)


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
    by_itself, found = (judged(*alone(80, 50), family=family) for family in (None, 10))
    assert (by_itself.word, found.word, found.family, found.confidence) == ("ahead", "not shown", 10, 0.995)
    assert found.p == pytest.approx(10 * by_itself.p)


def test_the_best_of_many_is_chosen_on_other_rows_than_it_is_judged_on():
    """Twenty settings that guess: the best looks good on all rows, and not on those it was not chosen by."""
    chance = np.random.default_rng(1)
    many = tuple(Contestant(f"m{n}", answered(of_scores(chance.random(400) < 0.5))) for n in range(20))
    rival = (Contestant("rival", answered(of_scores(np.arange(400) % 2 == 0))),)
    best = max(many, key=lambda one: one.mean)
    assert best.mean >= 0.53
    (found,) = judge([Pair(many, rival)], "accuracy")
    on_half = half_of(np.arange(400))
    assert 190 <= on_half.sum() <= 210
    chosen = max(many, key=lambda one: one.runs[0].answers.at(on_half).score)
    assert (found.first, found.chosen, found.word) == (chosen.label, "other rows", "not shown")
    assert (found.rows, found.paired, found.confidence) == (400 - on_half.sum(), True, 0.95)
    scores = [one.runs[0].answers.at(~on_half).score for one in (chosen, rival[0])]
    assert found.size == pytest.approx(scores[0] - scores[1])
    without = tuple(replace(one, runs=tuple(replace(run, answers=None) for run in one.runs)) for one in many)
    (unpaired,) = judge([Pair(without, rival)], "accuracy")
    assert (unpaired.first, unpaired.chosen, unpaired.confidence) == (best.label, "all", 1 - 0.05 / 20)


def test_a_row_is_in_one_half_by_all_of_its_bits():
    """⌊2⁶⁴ / φ⌋ begins with a 1, so row 1 is not in row 0's half; it is odd, so the highest bit counts."""
    assert half_of(np.array([0, 1, 2**63], dtype=np.uint64)).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("chosen_on", "judged_on", "how"), [(2, 2, "other rows"), (1, 5, "all"), (5, 1, "all")]
)
def test_rows_are_halved_where_each_half_has_two(chosen_on, judged_on, how):
    every, drawn = np.arange(99), np.random.default_rng(0)
    of_first = half_of(every)
    rows = np.sort([*every[of_first][:chosen_on], *every[~of_first][:judged_on]])
    one, two, rival = (
        Contestant(name, answered(of_scores(drawn.random(len(rows)), rows))) for name in ("A", "B", "C")
    )
    (found,) = judge([Pair((one, two), (rival,))], "chrf")
    assert (found.chosen, found.rows) == (how, judged_on if how == "other rows" else len(rows))


def test_for_each_seed_stands_who_is_best_on_the_others_and_has_it_itself():
    """`once` has the best score of all, of seed 0 alone: it has no other seed to be chosen by."""
    once, both = Contestant("A", (Run(0, 0.99, ROWS),)), Contestant("A", scored(0.8, 0.7))
    rival = Contestant("B", scored(0.5, 0.5))
    (found,) = judge([Pair((once, both), (rival,), "seed")], "accuracy")
    assert (found.first, found.second, found.chosen) == ("A", "B", "other seeds")
    assert (found.size, found.seeds) == (pytest.approx(0.75 - 0.5), (2, 2))


def test_five_seeds_speak_of_methods_and_four_of_runs():
    chance = np.random.default_rng(5)
    for seeds, about in ((4, "runs"), (5, "methods")):
        found = verdict(*contest(chance, "accuracy", rows=1000, seeds=seeds), "accuracy")
        assert (found.about, found.seeds) == (about, (seeds, seeds)) and found.more_seeds


def test_seeds_that_differ_count_for_methods_and_not_for_runs(monkeypatch):
    """One lucky seed in five: by the rows of these runs A is ahead, as a method it is not shown."""
    rows = np.arange(2000)
    lucky = [of_scores(rows % 100 < 80 + 10 * (seed == 4)) for seed in range(5)]
    plain = [of_scores(rows % 100 < 80) for seed in range(5)]
    found = judged(answered(*lucky), answered(*plain))
    assert (found.word, found.about) == ("not shown", "methods")
    monkeypatch.setattr("cdvft_app.judging.judge.RESAMPLES", 199)
    assert over_rows(lucky, plain).p <= 2 / 200


def test_methods_whose_rows_were_not_kept_are_judged_by_their_seeds():
    one, other = [0.80, 0.82, 0.79, 0.83, 0.81], [0.78, 0.80, 0.79, 0.80, 0.80]
    found = judged(scored(*one, rows=MANY), scored(*other, rows=MANY))
    known = stats.ttest_rel(one, other)
    assert (found.about, found.paired, found.word) == ("methods", False, "ahead")
    assert (found.low, found.high) == pytest.approx(tuple(known.confidence_interval()), rel=1e-4)
    assert found.p == pytest.approx(known.pvalue, rel=1e-4)


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
    assert 0.03 < stats.binom.pmf(called, 130, 0.5).sum() < 0.05


def test_a_gap_of_two_points_is_seen_by_five_seeds():
    assert word_shares("accuracy", 60, rows=4000, seeds=5, gap=0.02)["behind"] > 0.6


def test_the_page_says_of_mistakes_and_power_what_was_recorded():
    record = json.loads(RESULTS.read_text(encoding="utf-8"))
    alarms = {name: share for name, share in record.items() if name.startswith("false alarms")}
    assert (len(alarms), record["ties"]) == (8, 2000)
    assert max(alarms.values()) <= 0.06, "ties that are called different"
    seen = (record[f"seen, methods 2 points apart, {n} seeds, 1,000 rows, accuracy"] for n in (5, 8, 12))
    tied, five, eight, twelve = (
        f"{100 * share:.0f} %"
        for share in (alarms["false alarms, methods of 5 seeds, 1,000 rows, accuracy"], *seen)
    )
    said = " ".join(TEST.split())
    assert f"of 2,000 simulated pairs of equal methods, {tied} of those scored by accuracy" in said
    assert f"five seeds saw it in {five} of cases, eight in {eight}, twelve in {twelve}" in said


# From an interval to a word, and how many more rows or seeds a difference would need


@pytest.mark.parametrize(
    ("low", "high", "p", "word"),
    [
        (0.001, 0.03, 0.049, "ahead"),
        (-0.03, -0.001, 0.049, "behind"),
        (0.001, 0.03, 0.05, "not shown"),
        (0.0, 0.03, 0.01, "not shown"),
        (-0.03, 0.0, 0.01, "not shown"),
        (-0.009, 0.009, 0.9, "as good"),
        (-0.01, 0.009, 0.9, "not shown"),
        (-0.009, 0.01, 0.9, "not shown"),
        (0.002, 0.009, 0.2, "as good"),
        (0.002, 0.009, 0.01, "ahead"),
    ],
)
def test_a_word_wants_the_test_and_the_interval_or_the_margin(low, high, p, word):
    assert _word(low, high, p) == word


@pytest.mark.parametrize("counts", [(4, 3), (3, 3)])
def test_rows_are_asked_for_until_both_ends_lie_within_the_margin(counts):
    """With an interval that narrows with the root of the rows; rounded up to 2 digits.

    For a power of 80 % beside the z of 1.96, for equality 1.282 more, at either end.
    """
    size = (counts[0] - counts[1]) / 500
    low, high = mcnemar(500, *counts).interval(0.95)
    needed = 500 * ((max(size - low, high - size) / (0.01 - size) * 3.242 / 1.96) ** 2 - 1)
    for found in (judged(*alone(*counts, 500)), judged(*reversed(alone(*counts, 500)))):
        assert found.word == "not shown"
        assert needed <= found.more_rows < 1.1 * needed
        assert len(str(found.more_rows).rstrip("0")) <= 2


@pytest.mark.parametrize(
    ("rows", "counts"), [(200, (18, 8)), (1024, (46, 30)), (300, (5, 1)), (90, (5, 0)), (4000, (260, 230))]
)
def test_as_many_rows_are_asked_for_as_let_mcnemars_test_tell_runs_apart_in_four_of_five_cases(rows, counts):
    """The power is summed here: over how many rows one run alone has right, and over the test's outcomes."""

    def power(more: int) -> float:
        differ = np.arange(rows + more + 1)
        as_many = stats.binom.pmf(differ, rows + more, sum(counts) / rows)
        share = counts[0] / sum(counts)
        critical = stats.binom.ppf(0.025, differ, 0.5)
        critical -= stats.binom.cdf(critical, differ, 0.5) > 0.025  # the most that the weaker may have alone
        return float(as_many @ stats.binom.cdf(critical, differ, 1 - share))

    for found in (judged(*alone(*counts, rows)), judged(*reversed(alone(*counts, rows)))):
        assert (found.word, found.about) == ("not shown", "runs")
        assert 0.8 <= power(found.more_rows) < 0.86
        assert len(str(found.more_rows).rstrip("0")) <= 2


def test_a_few_rows_more_are_asked_for_where_they_are_enough():
    """Of 3 rows all against none, each erring for itself: 1.04 against a difference of 1."""
    found = judged(scored(1.0, rows=3), scored(0.0, rows=3))
    assert (found.word, found.rows, found.more_rows, found.more_seeds) == ("not shown", 3, 4, None)
    assert settled_by(found).startswith("If as seen, about 4 more rows would settle it for these runs")


def test_methods_whose_seeds_do_not_differ_need_more_rows_and_several_races_a_further_one():
    one, other = scored(*[0.52] * 5), scored(*[0.5] * 5)
    found, (both,) = judged(one, other), judge_pooled([[pair(one, other)]] * 2, "accuracy")
    assert (found.word, found.about, found.more_seeds) == ("not shown", "methods", None)
    assert found.more_rows > ROWS
    assert (both.word, both.about, both.more_rows) == ("not shown", "methods", None)
    assert both.low == pytest.approx(0.02 - (both.high - 0.02))


@pytest.mark.parametrize("counts", [(18, 8), (4, 3), (3, 3), (60, 1)])
def test_where_a_side_has_one_seed_no_number_of_seeds_is_named(counts):
    """Nothing is known of their spread, so nothing of how many would do, whatever the interval is."""
    one, other = alone(*counts, 200)
    for found in (judged(one, other), judged(one, [*other, replace(other[0], seed=1)])):
        assert (found.about, found.more_seeds) == ("runs", None)
        assert "seed" not in settled_by(found)


def test_as_many_seeds_are_asked_for_as_show_it_in_four_of_five_cases():
    """Mean 1.15 σ, for which the noncentral t gives a power of 80 % with nine seeds, and less with seven."""
    apart = np.array([-1.0, 1.0, 0.0, 1.0, -1.0])
    lead = 0.02 * (1.15 * apart.std(ddof=1) + apart)
    found = judged(scored(*(0.8 + lead), rows=MANY), scored(*[0.8] * 5, rows=MANY))
    assert (found.word, found.about, found.more_seeds, found.more_rows) == ("not shown", "methods", 4, None)

    def power(count):
        return stats.nct.sf(stats.t.ppf(0.975, count - 1), count - 1, 1.15 * count**0.5)

    assert power(7) < 0.8 < power(9)


def test_two_seeds_tell_of_a_spread_and_ask_for_more_than_five():
    """One of A's two seeds has 4 more of 200 rows right: with d and 0, half the interval is about t σ/√n."""
    plain, lucky = of_wrong(200, range(40)), of_wrong(200, range(36))
    found = judged(answered(plain, lucky), answered(plain, plain))
    spread = over_seeds({0: [plain], 1: [lucky]}, {0: [plain], 1: [plain]})
    expected = spread.seeds_for(0.01 * 1.96 / 2.802, 0.95, 5)
    assert expected > 5
    assert (found.word, found.about, found.more_seeds) == ("not shown", "runs", expected - 2)


# Several races of the same methods together: the doubt shrinks where they agree, grows where not


def race(first, second, seed):
    """A pair whose sides are right with these probabilities, over five seeds of 400 rows."""
    drawn = np.random.default_rng(seed)
    return pair(*(answered(*(of_scores(drawn.random(400) < p) for _ in range(5))) for p in (first, second)))


def test_races_that_agree_are_surer_together():
    one, other = (race(0.70, 0.75, seed) for seed in (1, 2))
    alone = [judge([pair], "accuracy")[0] for pair in (one, other)]
    (both,) = judge_pooled([[one], [other]], "accuracy")
    assert both.high - both.low < min(single.high - single.low for single in alone)
    assert min(single.size for single in alone) <= both.size <= max(single.size for single in alone)
    assert (both.rows, both.about, both.more_rows) == (800, "methods", None)


def test_races_that_disagree_show_nothing_together():
    (both,) = judge_pooled([[race(0.9, 0.6, 1)], [race(0.6, 0.9, 2)]], "accuracy")
    assert both.word == "not shown" and both.low < -0.2 and both.high > 0.2


def test_one_race_alone_is_what_it_was():
    one = race(0.7, 0.8, 3)
    (alone,), (both,) = judge([one], "accuracy"), judge_pooled([[one]], "accuracy")
    assert (both.size, both.low, both.high, both.word) == (alone.size, alone.low, alone.high, alone.word)


def test_races_of_too_few_seeds_do_not_count_among_others_and_alone_show_nothing():
    whole, short = race(0.7, 0.8, 3), pair(scored(0.9), scored(0.1))
    assert judge_pooled([[whole], [short]], "accuracy") == judge_pooled([[whole]], "accuracy")
    (neither,) = judge_pooled([[short]] * 2, "accuracy")
    assert (neither.word, neither.low, neither.rows) == ("not shown", None, None)
    unknown = pair(scored(*[0.8] * 5, rows=None), scored(*[0.7] * 5, rows=None))
    assert judge_pooled([[unknown]] * 2, "accuracy")[0].rows is None
    with pytest.raises(ValueError, match="shorter"):
        judge_pooled([[whole], []], "accuracy")


@pytest.mark.parametrize(
    ("sizes", "variances", "size", "variance"),
    [
        # Equal variances v: the mean of both with v / 2, until they differ by more than chance would have it.
        ((0.10, 0.12), (0.0004, 0.0004), 0.11, 0.0002),
        # Q = (0.2² / 2) / v = 50, so τ² = (50 − 1) / (2 / v − 1 / v) = 49 v
        ((0.0, 0.2), (0.0004, 0.0004), 0.1, 50 * 0.0004 / 2),
        # The surer race weighs more: 1 / (10,000 + 1 / 0.0003).
        ((0.0, 0.01), (0.0001, 0.0003), 0.0025, 0.000075),
    ],
)
def test_races_are_pooled_as_by_hand(sizes, variances, size, variance):
    both = pooled([Mean(*of_race, df_rows=1e9) for of_race in zip(sizes, variances, strict=True)])
    assert (both.size, both.variance) == (pytest.approx(size), pytest.approx(variance))
