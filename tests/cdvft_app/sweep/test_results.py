"""What is made of a sweep's runs: spreads over seeds, fair means, heatmaps, lines and sentences."""

import json
import re

import pytest

from cdvft_app import catalog
from cdvft_app.format import plain
from cdvft_app.judging.compared_runs import (
    ComparedRun,
    best,
    complete_seeds,
    configuration_key,
    configurations_of,
    line,
    rate_multiple,
    spread_over_seeds,
    table,
    value_label,
    varied,
)
from cdvft_app.judging.comparison_sets import answer, judge_sweep, sentences
from cdvft_app.settings import RaceRequest, RunSettings
from cdvft_app.sweep import SweepRequest
from cdvft_app.sweep.results import JudgedSweep, payload


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


def test_a_layers_own_block_size_stands_last():
    """None is no number to be sorted, and is called automatic."""
    made = (RunSettings(method="cdvft", recipe="mnist", block_size=size) for size in (None, 48, 384))
    settings = configurations_of([ComparedRun(settings=one, state="finished", metric=0.5) for one in made])
    assert varied(settings) == {"block_size": [48, 384, None]}
    assert [value for value, _ in line(settings, "block_size", "mean")] == [48, 384, None]
    assert value_label("cdvft", "block_size", None) == "p\u00a0=\u00a0automatic"


@pytest.mark.parametrize(("method", "apart"), [("lora", True), ("head", False)])
def test_where_an_adapter_stands_tells_settings_apart(method, apart):
    keys = {
        configuration_key(RunSettings(method=method, recipe="mnist", target_modules=(name,)))
        for name in ("query", "key")
    }
    assert len(keys) == 1 + apart


def test_a_rate_is_a_multiple_of_its_recipes():
    usual = catalog.RECIPES["mnist"].learning_rates["lora"]
    own = RunSettings(method="lora", recipe="mnist")
    assert rate_multiple(own) == 1
    assert rate_multiple(RunSettings(method="lora", recipe="mnist", learning_rate=3 * usual)) == 3
    assert rate_multiple(own.model_copy(update={"recipe": None})) is None


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


def test_a_heatmap_is_empty_where_no_run_was_made():
    settings = configurations_of(outcomes(by_m, m=(2, 3), block_size=(48, 384)))[:3]
    for rest in ("mean", "best"):
        cells = [cell and cell.mean for row in table(settings, "m", "block_size", rest) for cell in row]
        assert cells == [0.7, 0.7, 0.8, None]


def test_what_has_not_ended_counts_nowhere():
    assert spread_over_seeds([]) is None
    settings = configurations_of(outcomes(by_m, ended=0, m=(2, 3)))
    assert [one.spread for one in settings] == [None, None]
    assert line(settings, "m", "mean") == [(2, None), (3, None)] and best(settings) is None
    assert line(settings, "m", "best") == [(2, None), (3, None)]
    assert sentences(settings, judge_sweep([], "accuracy")) == []


def test_the_page_gets_all_of_it_as_json():
    runs = outcomes(by_m, methods=("cdvft", "lora"), lora_r=(2, 8), **GRID)
    made = payload(JudgedSweep.of(runs, "accuracy"))
    assert json.loads(json.dumps(made)) == made
    assert (made["metric_name"], made["metric_title"]) == ("accuracy", "Accuracy")
    assert [heat["title"] for heat in made["heatmaps"]] == [
        *(f"CDVFT: {pair}" for pair in ("m by p", "m by learning rate", "p by learning rate")),
        "LoRA: r by learning rate",
    ]
    heat = made["heatmaps"][0]
    assert [plain(one) for one in heat["rows"] + heat["columns"]] == ["m = 2", "m = 3", "p = 48", "p = 384"]
    assert made["lines"][0]["title"] == "All methods: along the learning rate"
    assert [one["label"] for one in made["lines"][0]["series"]] == ["CDVFT", "LoRA"]
    along_m = next(one for one in made["lines"] if one["key"] == "cdvft:m:block_size")
    point = along_m["series"][0]["points"]["mean"][0]
    assert point["at"] == "m\u00a0=\u00a02" and point["low"] == pytest.approx(0.7) and point["runs"] == 6


def say(metric, **lists):
    runs = outcomes(metric, rows=4000, **lists)
    return plain("\n".join(sentences(configurations_of(runs), judge_sweep(runs, "accuracy"))))


def test_the_answer_names_only_what_is_shown_to_matter():
    runs = outcomes(by_m, rows=4000, **GRID)
    said = plain(answer(judge_sweep(runs, "accuracy")))
    assert re.fullmatch(
        r"CDVFT, each value at its own best: m = 3 is ahead of m = 2 by 10\.0 points \([^;]*\)\.", said
    )
    assert "p = 48" not in said
    level = outcomes(lambda one: 0.7, rows=4000, **GRID)
    assert answer(judge_sweep(level, "accuracy")).startswith("No value of a setting of CDVFT is shown")
    assert answer(judge_sweep([], "accuracy")) == ""


def test_the_values_of_each_dimension_are_judged():
    said = say(by_m, **GRID)
    assert "CDVFT with m = 3 is ahead of CDVFT with m = 2 by 10.0 points (" in said
    assert "CDVFT with p = 48 and CDVFT with p = 384 score about the same (" in said


def test_where_cdvft_loses_is_said():
    lists = {"methods": ("cdvft", "lora"), "learning_rates": (0.3, 1, 3), "seeds": (0, 1)}
    said = say(lambda one: {"cdvft": 0.7, "lora": 0.8}[one.method.key], **lists)
    assert (
        "CDVFT m = 2, learning rate × 0.3 is behind LoRA r = 8, learning rate × 0.3 by 10.0 points (" in said
    )


def test_of_several_methods_those_pairs_are_told_in_which_cdvft_is():
    runs = outcomes(by_m, methods=("cdvft", "lora", "fourierft"), rows=100)
    compared = judge_sweep(runs, "accuracy")
    said = sentences(configurations_of(runs), compared)
    assert len(compared.between) == 3
    assert len(said) == 3 and all("CDVFT" in one for one in said[:2])


def test_five_seeds_speak_of_methods_and_their_spread_counts():
    lists = {"methods": ("cdvft", "lora"), "seeds": (0, 1, 2, 3, 4)}
    said = say(lambda one: 0.7 if one.method.key == "cdvft" else 0.73 + 0.03 * (one.seed % 2), **lists)
    assert "CDVFT m = 2, learning rate × 1 is behind LoRA r = 8" in said
    assert "Over 5 seeds and 5 seeds, seeds and rows together." in said
    said = say(lambda one: 0.7 if one.method.key == "cdvft" else 0.6 + 0.05 * one.seed, **lists)
    assert "No difference is shown: " in said


def test_failed_runs_are_named():
    said = say(lambda one: None if one.method.learning_rate > 0.01 else 0.9, learning_rates=(0.3, 1, 3))
    assert "because a run failed: CDVFT m = 2, learning rate × 3." in said


@pytest.mark.parametrize(
    ("rates", "last"),
    [
        ((0.3, 1, 3, 10), "3 and CDVFT m = 2, learning rate × 10."),
        ((0.3, 1, 3, 10, 30, 100), "10 and 2 more."),
    ],
)
def test_of_many_failed_settings_four_are_named(rates, last):
    assert say(lambda one: None, learning_rates=rates).endswith(f"learning rate × {last}")


def test_where_cdvft_took_no_part_all_pairs_are_told():
    said = say(by_m, methods=("lora", "fourierft"))
    assert "No difference is shown: LoRA r = 8, learning rate × 1 and FourierFT" in said


def test_a_family_is_as_large_as_it_was_when_it_was_asked_for():
    (verdict,) = judge_sweep(outcomes(by_m, m=(2, 3)), "accuracy", 9).along.values()
    assert verdict.family == 9


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
