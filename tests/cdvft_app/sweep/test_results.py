"""What is made of a sweep's runs: spreads over seeds, fair means, heatmaps, lines and sentences."""

import pytest

from cdvft_app.judging.compared_runs import (
    ComparedRun,
    best,
    complete_seeds,
    configurations_of,
    line,
    table,
    varied,
)
from cdvft_app.judging.comparison_sets import judge_sweep
from cdvft_app.settings import RaceRequest
from cdvft_app.sweep import SweepRequest


def m_of(settings):
    return getattr(settings.method, "m", 2)


def outcomes(metric, methods=("cdvft",), ended=10**6, rows=None, **lists):
    """Runs of mnist whose metric is `metric(settings)`; None fails; those after the first `ended` wait."""
    runs = SweepRequest(base=RaceRequest(recipe="mnist", methods=methods), **lists).runs()
    made = []
    for place, settings in enumerate(runs):
        value = metric(settings) if place < ended else None
        state = "queued" if place >= ended else "failed" if value is None else "finished"
        took = {"parameters": 1000 * m_of(settings), "seconds": 2.0 + settings.seed, "rows": rows}
        made.append(ComparedRun(settings=settings, state=state, metric=value, **took))
    return made


GRID = {"m": (2, 3), "block_size": (48, 384), "learning_rates": (0.3, 1, 3), "seeds": (0, 1)}


def by_m(settings):
    return 0.5 + 0.1 * m_of(settings) + 0.01 * settings.seed


def test_a_setting_is_its_seeds():
    settings = configurations_of(outcomes(by_m, **GRID))
    assert len(settings) == 12
    first = settings[0]
    assert first.values == {"m": 2, "block_size": 48, "learning_rates": 0.3}
    assert (first.spread.mean, first.spread.low, first.spread.high) == pytest.approx((0.705, 0.7, 0.71))
    assert (first.parameters, first.seconds, first.failed) == (2000, 2.5, 0)
    assert varied(settings) == {"m": [2, 3], "block_size": [48, 384], "learning_rates": [0.3, 1, 3]}
    assert varied(settings[:6]) == {"block_size": [48, 384], "learning_rates": [0.3, 1, 3]}


def test_a_heatmap_is_the_mean_or_the_best_over_the_rest():
    settings = configurations_of(
        outcomes(lambda one: 0.5 + one.method.learning_rate + 0.1 * one.method.m, **GRID)
    )
    for rest, more in (("mean", 0.043 / 3), ("best", 0.03)):
        cells = [cell.mean for row in table(settings, "m", "block_size", rest) for cell in row]
        assert cells == pytest.approx([0.7 + more, 0.7 + more, 0.8 + more, 0.8 + more])
    assert best(settings).values == {"m": 3, "block_size": 48, "learning_rates": 3}


def test_means_of_an_unfinished_sweep_are_of_comparable_runs():
    """m = 2 has all rates, m = 3 only the low ones: the high ones, which are bad, count for neither."""

    def metric(one):
        return 0.2 if one.method.learning_rate > 0.01 else 0.8

    lists = {"m": (2, 3), "learning_rates": (0.3, 1, 3)}
    settings = configurations_of(outcomes(metric, ended=5, **lists))
    assert [(m, spread.mean) for m, spread in line(settings, "m", "mean")] == [(2, 0.8), (3, 0.8)]
    whole = configurations_of(outcomes(metric, **lists))
    assert [spread.mean for _, spread in line(whole, "m", "mean")] == pytest.approx([0.6, 0.6])
    assert [spread.mean for _, spread in line(whole, "m", "best")] == pytest.approx([0.8, 0.8])


def test_only_whole_seeds_are_judged():
    """The second seed has only the first setting so far, a lucky one."""
    lists = {"m": (2, 3), "seeds": (0, 1)}
    runs = outcomes(lambda one: 0.5 + 0.4 * one.seed, ended=3, **lists)
    (verdict,) = judge_sweep(runs, "accuracy").along.values()
    assert (verdict.size, verdict.seeds) == (0, (1, 1))
    kept = complete_seeds(configurations_of(runs))
    assert [[run.settings.seed for run in one.runs] for one in kept] == [[0], [0]]
    begun = configurations_of(outcomes(by_m, ended=1, **lists))
    assert complete_seeds(begun) == begun, "with no seed complete, all that there is"
