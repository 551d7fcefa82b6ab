"""How often the comparison calls tied methods different, by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from cdvft_app.judging.judge import Contestant, Pair, Run, judge
from cdvft_app.judging.row_scores import of_predictions, of_scores
from cdvft_app.store.predictions import Predictions

SEEDS_APART = 0.008  # standard deviation of how well a seed turns out


def accuracy(random, easy, better):
    right = random.random(len(easy)) < easy
    room = (1 - easy).mean() if better > 0 else easy.mean()
    flipped = random.random(len(easy)) < abs(better) / room
    return of_scores(right | flipped if better > 0 else right & ~flipped)


def pearson(random, easy, better):
    """Outputs are the labels with noise; r is about 0.85."""
    labels, noise = easy / easy.std(), 0.6 - 2.3 * better
    outputs = labels + random.normal(0, noise, len(easy))
    return of_predictions(Predictions(np.arange(len(easy)), labels, outputs[:, None]), "pearson")


DRAW = {"accuracy": accuracy, "pearson": pearson}


def side(random, metric, easy, *, seeds, apart, gap):
    answers = [DRAW[metric](random, easy, gap + random.normal(0, apart)) for _ in range(seeds)]
    runs = [Run(seed, one.score, len(one.rows), one) for seed, one in enumerate(answers)]
    return (Contestant("", tuple(runs)),)


def words(metric, times, *, rows, seeds, apart=SEEDS_APART, gap=0.0):
    random, found = np.random.default_rng(0), []
    for _ in range(times):
        easy = 1 / (1 + np.exp(-random.normal(3.2, 3.5, rows)))  # how likely each row is answered correctly
        first, second = (
            side(random, metric, easy, seeds=seeds, apart=apart, gap=more) for more in (0.0, gap)
        )
        found.append(judge([Pair(first, second)], metric)[0].word)
    return found


def share(found, *wanted):
    return sum(word in wanted for word in found) / len(found)


@pytest.mark.parametrize("metric", DRAW)
def test_tied_methods_are_rarely_called_different(metric):
    assert share(words(metric, 250, rows=300, seeds=5), "ahead", "behind") <= 0.06


def test_tied_runs_are_rarely_called_different(monkeypatch):
    monkeypatch.setattr("cdvft_app.judging.judge.RESAMPLES", 199)
    assert share(words("pearson", 200, rows=200, seeds=1, apart=0.0), "ahead", "behind") <= 0.07


def test_gap_of_two_points_is_found_by_five_seeds():
    assert share(words("accuracy", 60, rows=4000, seeds=5, gap=0.02), "behind") > 0.6
