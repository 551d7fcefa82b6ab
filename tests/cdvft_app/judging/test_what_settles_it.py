"""From an interval to a word, and how many more rows or seeds a difference would need."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cdvft_app.judging.judge import Contestant, Pair, Run, _word, half_of, judge, mcnemar, over_seeds
from cdvft_app.judging.row_scores import of_scores, of_wrong
from cdvft_app.judging.verdict_text import settled_by

MANY = 10**12  # rows, so that only seeds count


def judged(first, second, metric="accuracy"):
    (found,) = judge([Pair((Contestant("A", tuple(first)),), (Contestant("B", tuple(second)),))], metric)
    return found


def seeds(scores, rows=MANY):
    return [Run(seed, score, rows) for seed, score in enumerate(scores)]


def answered(*answers):
    return [Run(seed, one.score, len(one.rows), one) for seed, one in enumerate(answers)]


def alone(first, second, rows):
    """Two runs of which so many rows are right in one alone, and all others in both."""
    return answered(of_wrong(rows, range(second))), answered(of_wrong(rows, range(second, second + first)))


@pytest.mark.parametrize(
    ("low", "high", "p", "word"),
    [
        (0.001, 0.03, 0.049, "ahead"),
        (-0.03, -0.001, 0.049, "behind"),
        (0.001, 0.03, 0.05, "not shown"),
        (0.0, 0.03, 0.01, "not shown"),
        (-0.03, 0.0, 0.01, "not shown"),
        (-0.02, 0.02, 0.01, "not shown"),
        (-0.009, 0.009, 0.9, "as good"),
        (-0.01, 0.009, 0.9, "not shown"),
        (-0.009, 0.01, 0.9, "not shown"),
        (0.002, 0.009, 0.2, "as good"),
        (0.002, 0.009, 0.01, "ahead"),
    ],
)
def test_a_word_wants_the_test_and_the_interval_or_the_margin(low, high, p, word):
    assert _word(low, high, p) == word


@pytest.mark.parametrize("counts", [(18, 8), (4, 3), (3, 3)])
def test_rows_are_asked_for_until_0_is_left_out_or_both_ends_lie_within_the_margin(counts):
    """The nearer of both, with an interval that narrows with the root of the rows; rounded up to 2 digits.

    For a power of 80 % beside the z of 1.96: of a difference 0.842 more, of equality 1.282, at either end.
    """
    rows = 200 if counts == (18, 8) else 500
    size = (counts[0] - counts[1]) / rows
    low, high = mcnemar(rows, *counts).interval(0.95)
    apart = rows * (((size - low) / size * 2.802 / 1.96) ** 2 - 1) if size else np.inf
    level = rows * ((max(size - low, high - size) / (0.01 - size) * 3.242 / 1.96) ** 2 - 1)
    needed = apart if counts == (18, 8) else level
    for found in (judged(*alone(*counts, rows)), judged(*reversed(alone(*counts, rows)))):
        assert found.word == "not shown"
        assert needed <= found.more_rows < 1.1 * needed
        assert len(str(found.more_rows).rstrip("0")) <= 2


def test_a_few_rows_more_are_asked_for_where_they_are_enough():
    """Of 3 rows all against none, each erring for itself: 1.04 against a difference of 1."""
    found = judged(seeds([1.0], 3), seeds([0.0], 3))
    assert (found.word, found.rows, found.more_rows, found.more_seeds) == ("not shown", 3, 4, None)
    assert settled_by(found).startswith("If as seen, about 4 more rows would settle it for these runs")


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
    found = judged(seeds(0.8 + lead), seeds([0.8] * 5))
    assert (found.word, found.about, found.more_seeds, found.more_rows) == ("not shown", "methods", 4, None)

    def power(count):
        return stats.nct.sf(stats.t.ppf(0.975, count - 1), count - 1, 1.15 * count**0.5)

    assert power(7) < 0.8 < power(9)


def test_methods_whose_rows_were_not_kept_are_judged_by_their_seeds():
    one, other = [0.80, 0.82, 0.79, 0.83, 0.81], [0.78, 0.80, 0.79, 0.80, 0.80]
    found, known = judged(seeds(one), seeds(other)), stats.ttest_rel(one, other)
    assert (found.about, found.paired, found.word) == ("methods", False, "ahead")
    assert (found.low, found.high) == pytest.approx(tuple(known.confidence_interval()), rel=1e-4)
    assert found.p == pytest.approx(known.pvalue, rel=1e-4)


def test_two_seeds_tell_of_a_spread_and_ask_for_more_than_five():
    """One of A's two seeds has 4 more of 200 rows right: with d and 0, half the interval is about t σ/√n."""
    plain, lucky = of_wrong(200, range(40)), of_wrong(200, range(36))
    found = judged(answered(plain, lucky), answered(plain, plain))
    expected = over_seeds({0: [plain], 1: [lucky]}, {0: [plain], 1: [plain]}).seeds_for(
        0.01 * 1.96 / 2.802, 0.95, 5
    )
    assert expected > 5
    assert (found.word, found.about, found.more_seeds) == ("not shown", "runs", expected - 2)


def test_runs_that_did_not_answer_the_same_rows_are_not_paired():
    first = of_scores([True, False] * 50)
    elsewhere = replace(first, rows=first.rows + 100)
    for second in (elsewhere, None):
        found = judged(answered(first, first), [Run(0, 0.5, 100, first), Run(1, 0.5, 100, second)])
        assert (found.paired, found.rows, found.size) == (False, 100, 0)


def test_a_run_of_unknown_rows_leaves_them_unknown():
    found = judged([Run(0, 0.8, 100)], [Run(0, 0.7, None)])
    assert (found.word, found.rows, found.low, found.high, found.p) == ("not shown", None, None, None, None)
    assert found.size == pytest.approx(0.1)


def test_the_size_is_that_of_the_rows_which_the_interval_is_of():
    """A metric that was kept with fewer digits than the rows give."""
    one, other = ([replace(run, metric=round(run.metric, 1)) for run in side] for side in alone(90, 60, 1000))
    found = judged(one, other)
    assert (found.size, found.low < found.size < found.high) == (0.03, True)


def test_a_row_is_in_one_half_by_all_of_its_bits():
    """⌊2⁶⁴ / φ⌋ begins with a 1, so row 1 is not in row 0's half; it is odd, so the highest bit counts."""
    assert half_of(np.array([0, 1, 2**63], dtype=np.uint64)).tolist() == [True, False, False]
