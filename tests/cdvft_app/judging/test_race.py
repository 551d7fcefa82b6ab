"""A race or a sweep judged: which runs meet, from whose side verdicts are told, and how they are shipped."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pytest

from cdvft_app import catalog
from cdvft_app.judging.compared_runs import ComparedRun
from cdvft_app.judging.comparison_sets import judge_runs
from cdvft_app.judging.outcomes import judged_runs
from cdvft_app.judging.row_scores import of_scores, of_wrong
from cdvft_app.settings import RunSettings

SETTINGS = {"model": "vit", "dataset": "mnist", "batch_size": 32}
METHODS = ("cdvft", "lora", "fourierft")
WRONG = {"cdvft": 10, "lora": 20, "fourierft": 30, "head": 40}


def race_run(method, **changed):
    """A run over 100 rows."""
    found = ComparedRun(
        id=f"id of {method}", group_id="g", state="finished", settings=RunSettings(**SETTINGS, method=method),
        metric_name="accuracy", metric=1 - WRONG[method] / 100, rows=100, steps=64, parameters=13_824,
        answers=of_wrong(100, range(WRONG[method])),
    )  # fmt: skip
    return replace(found, **changed)


@pytest.fixture(scope="module")
def race():
    return judged_runs([race_run(method) for method in METHODS])


@pytest.mark.parametrize(
    ("wrong", "rows", "recommended"),
    [
        ({"head": 12, "cdvft": 11, "lora": 10}, 100, "lora"),
        ({"head": 40, "cdvft": 11, "lora": 10}, 100, "lora"),
        ({"head": 900, "cdvft": 100, "lora": 100}, 4000, "cdvft"),
        ({"head": 900, "cdvft": 102, "lora": 100}, 4000, "cdvft"),
    ],
)
def test_race_recommends_best_or_equivalent_smaller_method(wrong, rows, recommended):
    """The last two have equal predictions, or differ on 2 of 4,000 rows: equivalent within 1 point."""
    numbers = {"head": 0, "cdvft": 13_824, "lora": 73_728}
    answers = {method: of_wrong(rows, range(wrong[method])) for method in numbers}
    race = judged_runs(
        [
            race_run(method, metric=of.score, answers=of, rows=rows, parameters=numbers[method])
            for method, of in answers.items()
        ]
    )
    assert race.advised.method == recommended
    assert race.advised.label in race.advice


def runs(**metrics):
    """One of each m, by its state and its metric."""
    settings = partial(RunSettings, **SETTINGS, recipe="mnist", method="cdvft")
    return [
        ComparedRun(settings=settings(m=int(m[1:])), state=state, metric=metric, rows=4000)
        for m, (state, metric) in metrics.items()
    ]


# A sweep's values are judged each at its own best of the other settings, never by averages over them

OF_SWEEP = {"recipe": "mnist", "train_examples": 600, "evaluation_examples": 1000, "epochs": 2}
RATE = catalog.RECIPES["mnist"].learning_rates["cdvft"]
ROWS = 1000


def sweep(score, m=(2, 3), rates=(0.3, 1, 3), seeds=(0, 1, 2)):
    """Runs of mnist; row n of a run is right where n < ROWS x score(m, rate, seed), mixed once."""
    order = np.random.default_rng(0).permutation(ROWS)
    made = []
    for value, rate, seed in product(m, rates, seeds):
        share = score(value, rate, seed)
        method = {"method": "cdvft", "m": value, "learning_rate": RATE * rate}
        settings = RunSettings(**OF_SWEEP, seed=seed, method=method)
        ended = {"metric": share, "rows": ROWS, "answers": of_scores(order < ROWS * share)}
        made.append(ComparedRun(settings=settings, state="finished", **ended))
    return made


def diverging(m, rate, seed):
    """m = 3 is better where it learns, and diverges at the highest rate, where m = 2 does not."""
    if m == 3:
        return 0.1 if rate == 3 else 0.88 + 0.001 * seed
    return 0.8 + 0.001 * seed


def judged(runs):
    return judge_runs(runs, "accuracy", lambda run: str(run.settings.method), sweep=True)


def test_a_rate_at_which_a_value_diverges_says_nothing_of_the_value():
    """The mean over rates has m = 2 ahead by 18 points; each at its own best, m = 3 is."""
    compared = judged(sweep(diverging))
    verdict = compared.along["cdvft", "m", "2 3"]
    assert (verdict.word, verdict.chosen) == ("ahead", "all")
    assert verdict.size == pytest.approx(0.08, abs=0.02)
    without = sweep(lambda m, rate, seed: diverging(m, min(rate, 1), seed))
    assert judged(without).along["cdvft", "m", "2 3"].size > 0.05
