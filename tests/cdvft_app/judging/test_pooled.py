"""Several races of the same methods judged together: the doubt shrinks where they agree, grows where not."""

from __future__ import annotations

import numpy as np
import pytest

from cdvft_app.judging.judge import Contestant, Mean, Pair, Run, judge, judge_pooled, pooled
from cdvft_app.judging.row_scores import of_scores

ROWS, SEEDS = 400, 5


def race(first, second, seed):
    """A pair whose sides are right with these probabilities, over five seeds."""
    drawn = np.random.default_rng(seed)

    def side(label, share):
        answers = [drawn.random(ROWS) < share for _ in range(SEEDS)]
        return Contestant(
            label,
            tuple(Run(n, float(one.mean()), ROWS, of_scores(one)) for n, one in enumerate(answers)),
        )

    return Pair((side("CDVFT", first),), (side("LoRA", second),))


def means(*sizes, variance=0.0004):
    return [Mean(size, var_rows=variance, df_rows=1e9) for size in sizes]


def test_races_that_agree_are_surer_together():
    one, other = (race(0.70, 0.75, seed) for seed in (1, 2))
    alone = [judge([pair], "accuracy")[0] for pair in (one, other)]
    (both,) = judge_pooled([[one], [other]], "accuracy")
    assert both.high - both.low < min(single.high - single.low for single in alone)
    assert min(single.size for single in alone) <= both.size <= max(single.size for single in alone)
    assert (both.rows, both.about, both.more_rows) == (2 * ROWS, "methods", None)


def test_races_that_disagree_show_nothing_together():
    (both,) = judge_pooled([[race(0.9, 0.6, 1)], [race(0.6, 0.9, 2)]], "accuracy")
    assert both.word == "not shown" and both.low < -0.2 and both.high > 0.2


def test_one_race_alone_is_what_it_was():
    pair = race(0.7, 0.8, 3)
    (alone,), (both,) = judge([pair], "accuracy"), judge_pooled([[pair]], "accuracy")
    assert (both.size, both.low, both.high, both.word) == (alone.size, alone.low, alone.high, alone.word)


def test_by_hand():
    """Equal variances v: the mean of both with v / 2, until they differ by more than chance would have it."""
    agreed = pooled(means(0.10, 0.12))
    assert (agreed.size, agreed.variance) == (pytest.approx(0.11), pytest.approx(0.0002))
    # Q = (0.2² / 2) / v = 50, so τ² = (50 − 1) / (2 / v − 1 / v) = 49 v
    apart = pooled(means(0.0, 0.2))
    assert (apart.size, apart.variance) == (pytest.approx(0.1), pytest.approx(50 * 0.0004 / 2))


def test_the_surer_race_weighs_more():
    both = pooled([*means(0.0, variance=0.0001), *means(0.01, variance=0.0003)])
    assert both.size == pytest.approx(0.0025)
