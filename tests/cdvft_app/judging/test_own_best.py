"""A sweep's values are judged each at its own best of the other settings, never by averages over them."""

from __future__ import annotations

import numpy as np
import pytest

from cdvft_app import catalog
from cdvft_app.judging.compared_runs import ComparedRun
from cdvft_app.judging.comparison_sets import answer, at_the_edge, judge_runs, sentences
from cdvft_app.judging.judge import Contestant, Pair, Run, judge
from cdvft_app.judging.row_scores import of_scores
from cdvft_app.settings import RunSettings

SETTINGS = {"recipe": "mnist", "train_examples": 600, "evaluation_examples": 1000, "epochs": 2}
RATE = catalog.RECIPES["mnist"].learning_rates["cdvft"]
ROWS = 1000


def sweep(score, m=(2, 3), rates=(0.3, 1, 3), seeds=(0, 1, 2)):
    """Runs of mnist; row n of a run is right where n < ROWS x score(m, rate, seed), mixed once."""
    order = np.random.default_rng(0).permutation(ROWS)
    made = []
    for value in m:
        for rate in rates:
            for seed in seeds:
                share = score(value, rate, seed)
                answers = of_scores(order < ROWS * share)
                method = {"method": "cdvft", "m": value, "learning_rate": RATE * rate}
                settings = RunSettings(**SETTINGS, seed=seed, method=method)
                ended = {"state": "finished", "metric": share, "rows": ROWS, "answers": answers}
                made.append(ComparedRun(settings=settings, **ended))
    return made


def diverging(m, rate, seed):
    """m = 3 is better where it learns, and diverges at the highest rate, where m = 2 does not."""
    if m == 3:
        return 0.1 if rate == 3 else 0.88 + 0.001 * seed
    return 0.8 + 0.001 * seed


def judged(runs):
    return judge_runs(runs, "accuracy", lambda run: str(run.settings.method), sweep=True)


def plain(text):
    return text.replace("\u00a0", " ")


def test_a_rate_at_which_a_value_diverges_says_nothing_of_the_value():
    """The mean over rates has m = 2 ahead by 18 points; each at its own best, m = 3 is."""
    compared = judged(sweep(diverging))
    verdict = compared.along["cdvft", "m", "2 3"]
    assert (verdict.word, verdict.chosen) == ("ahead", "other seeds and rows")
    assert verdict.size == pytest.approx(0.08, abs=0.02)
    without = sweep(lambda m, rate, seed: diverging(m, min(rate, 1), seed))
    assert judged(without).along["cdvft", "m", "2 3"].size > 0.05
    assert plain(answer(compared)).startswith("CDVFT, each value at its own best: m = 3 is ahead of m = 2 by")


def test_learning_rates_are_compared_with_their_neighbours_each_at_its_own_best():
    """At three times the rate m = 3 diverges and m = 2 does not: what the rate costs is 8 points, not 78."""
    compared = judged(sweep(diverging))
    rates = {key[2]: one for key, one in compared.along.items() if key[1] == "learning_rates"}
    assert [*rates] == ["0.3 1.0", "1.0 3.0"] and [one.word for one in rates.values()] == ["as good", "ahead"]
    assert list(rates.values())[1].size == pytest.approx(0.08, abs=0.03)
    assert "must be found: learning rate × 1 is ahead of learning rate × 3 by" in plain(answer(compared))


def test_what_is_chosen_is_not_judged_by_what_chose_it():
    """Of many settings that differ by luck alone the lucky one of a seed stands for nobody in that seed."""
    drawn = np.random.default_rng(1)

    def luck(label, count):
        settings = [drawn.random((3, ROWS)) < 0.5 for _ in range(count)]
        return tuple(
            Contestant(label, tuple(Run(n, own.mean(), ROWS, of_scores(own)) for n, own in enumerate(rows)))
            for rows in settings
        )

    many, few = luck("many", 60), luck("few", 2)
    (verdict,) = judge([Pair(many, few, "seed")], "accuracy")
    assert abs(verdict.size) < 0.04 and verdict.word != "ahead"
    best_of_many = max(one.mean for one in many) - max(one.mean for one in few)
    assert best_of_many > 0.01, "chosen by what judges it, the best of many is ahead"


def test_where_the_best_rate_is_the_last_that_was_tried_it_is_said():
    runs = sweep(lambda m, rate, seed: 0.5 + 0.1 * (rate if m == 2 else -rate) / 3)
    edges = [plain(one) for one in at_the_edge(runs, "cdvft", "m")]
    assert edges == ["m = 2 (learning rate × 3)", "m = 3 (learning rate × 0.3)"]
    (said,) = [text for text in sentences([], judged(runs)) if "At the edge of the learning rates" in text]
    assert "the best of m = 2 (learning rate × 3) and m = 3 (learning rate × 0.3):" in plain(said)
    inside = sweep(lambda m, rate, seed: 0.8 if rate == 1 else 0.5)
    assert at_the_edge(inside, "cdvft", "m") == []


def test_of_two_rates_the_best_is_an_end_and_of_one_it_is_none():
    rising = sweep(lambda m, rate, seed: 0.5 + 0.1 * rate, rates=(0.3, 1))
    assert len(at_the_edge(rising, "cdvft", "m")) == 2
    without_one = [run for run in rising if run.values["m"] == 2 or run.values["learning_rates"] == 1]
    assert [*map(plain, at_the_edge(without_one, "cdvft", "m"))] == ["m = 2 (learning rate × 1)"]
    assert at_the_edge(rising, "cdvft", "block_size") == [], "which was not varied"


def test_where_the_rate_alone_matters_no_setting_is_named_before_it():
    compared = judged(sweep(lambda m, rate, seed: (0.5 if rate == 3 else 0.8) + 0.001 * seed))
    assert answer(compared).startswith("The rate must be found: ")


def test_with_one_seed_the_choice_is_made_on_other_rows():
    compared = judged(sweep(diverging, seeds=(0,)))
    assert compared.along["cdvft", "m", "2 3"].chosen == "other rows"
