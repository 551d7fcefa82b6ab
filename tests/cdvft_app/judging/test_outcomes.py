"""Finished runs: which are compared, which are one point, who is on the front, and what is called a tie."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from math import sqrt
from typing import Any

import numpy as np
import pytest
import run_events

from cdvft_app.costs.request import parse_cost
from cdvft_app.costs.table import cost_table
from cdvft_app.judging.compared_runs import ComparedRun, compared_run, is_scored, with_answers
from cdvft_app.judging.judge import standard_error
from cdvft_app.judging.outcomes import (
    AXES,
    comparisons,
    extra_flops,
    front,
    judge_points,
    points,
    sentences,
    with_flops,
)
from cdvft_app.judging.row_scores import of_wrong
from cdvft_app.settings import RunSettings
from cdvft_app.store import predictions
from cdvft_app.store.runs import RunStore

PARAMETERS, FLOPS, SECONDS, MEMORY = AXES
NUMBERS = count()
RACE: dict[str, Any] = {
    "model": "minilm", "dataset": "rotten_tomatoes", "target_modules": ("query", "value"), "batch_size": 32,
    "train_examples": 2048, "max_length": 48, "c3a_block_size": 384,
}  # fmt: skip


def ran(
    method: str, metric: float, parameters: int, seconds: float = 40.0, examples: int = 1024, **settings: Any
) -> ComparedRun:
    own = RunSettings(method=method, **{**RACE, **settings})
    return ComparedRun(
        id=f"run{next(NUMBERS)}",
        group_id="race",
        name="A race",
        settings=own,
        state="finished",
        metric_name="accuracy",
        metric=metric,
        rows=examples,
        steps=128,
        device="CPU, 2 threads",
        parameters=parameters,
        seconds=seconds,
    )


def placed(*runs: ComparedRun) -> list[Any]:
    (one,) = comparisons(runs)
    return points(one)


def say(drawn: list[Any], axis: Any) -> list[str]:
    return sentences(drawn, axis, judge_points(drawn))


def test_only_runs_of_the_same_data_model_and_budget_are_compared():
    first, second = ran("cdvft", 0.8, 13_824), ran("lora", 0.7, 73_728)
    other, smaller = ran("lora", 0.9, 9, dataset="sst2"), ran("lora", 0.9, 9, train_examples=64)
    found = comparisons([first, other, second, smaller])
    assert [one.runs for one in found] == [(first, second), (other,), (smaller,)]
    assert found[0].title == "Rotten Tomatoes with MiniLM (6 layers) · 2,048 examples, 128 steps · 2 runs"
    assert len({one.key for one in found}) == 3


def test_seeds_of_one_setting_are_one_point_with_a_range():
    one, other = placed(
        *(
            ran("cdvft", metric, 13_824, seconds, seed=seed)
            for seed, metric, seconds in ((2, 0.80, 40), (0, 0.76, 38), (1, 0.78, 42))
        ),
        ran("cdvft", 0.7, 23_040, m=3),
    )
    assert (one.label, one.seeds) == ("CDVFT m\u00a0=\u00a02", (0, 1, 2))
    assert (one.metric.mean, one.metric.low, one.metric.high) == (pytest.approx(0.78), 0.76, 0.80)
    assert (one.amounts["seconds"].low, one.amounts["seconds"].high) == (38, 42)
    assert (other.label, other.seeds, other.amounts["memory"]) == ("CDVFT m\u00a0=\u00a03", (0,), None)


def test_a_seed_that_was_run_twice_counts_once():
    """As the judge takes it; the chart and its verdict speak of one mean."""
    (one,) = placed(
        *(ran("cdvft", score, 13_824, seed=seed) for seed, score in ((0, 0.6), (0, 0.7), (1, 0.8)))
    )
    assert one.metric.mean == pytest.approx((0.65 + 0.8) / 2)
    assert (one.metric.low, one.metric.high) == (pytest.approx(0.65), 0.8)


def test_a_label_says_what_tells_settings_apart_and_a_size_what_they_share():
    slow, fast = placed(ran("lora", 0.7, 9, learning_rate=1e-3), ran("lora", 0.8, 9, learning_rate=3e-3))
    assert [slow.label, fast.label] == [
        "LoRA r\u00a0=\u00a08, rate 0.001",
        "LoRA r\u00a0=\u00a08, rate 0.003",
    ]
    assert slow.size == fast.size
    wide, large = placed(ran("lora", 0.7, 9, target_modules=("query",)), ran("lora", 0.8, 99, lora_r=16))
    assert len({one.size for one in (slow, wide, large)}) == 3
    # Another method's setting changes nothing of this one.
    assert len(placed(ran("lora", 0.7, 9, m=2), ran("lora", 0.8, 9, m=3))) == 1


def test_each_kind_of_setting_is_told_in_a_label():
    plain, *others = (
        point.label.replace("\u00a0", " ")
        for point in placed(
            ran("cdvft", 0.7, 1, schedule="linear"),
            ran("cdvft", 0.7, 2, alpha=0.5, schedule="linear"),
            ran("cdvft", 0.7, 3, target_modules=("key",), schedule="linear"),
            ran("cdvft", 0.7, 4, warmup_ratio=0.0, schedule="constant"),
        )
    )
    assert plain == "CDVFT m = 2, α = 1, on query, value, linear, warm-up 0.06"
    assert others == [
        "CDVFT m = 2, α = 0.5, on query, value, linear, warm-up 0.06",
        "CDVFT m = 2, α = 1, on key, linear, warm-up 0.06",
        "CDVFT m = 2, α = 1, on query, value, constant, warm-up 0",
    ]


def test_points_come_by_method_then_by_parameters():
    """Not by their labels, of which r = 16 is the first; parameters that are unknown count as none."""
    unknown = replace(ran("lora", 0.7, 0, lora_r=2), parameters=None, seconds=3.0)
    found = placed(ran("lora", 0.7, 160, lora_r=16), ran("lora", 0.7, 80), unknown, ran("cdvft", 0.7, 200))
    assert [point.label.split("=")[-1].strip() for point in found] == ["2", "2", "8", "16"]
    assert [point.method for point in found] == ["cdvft", "lora", "lora", "lora"]


def test_a_point_knows_what_each_of_its_runs_answered():
    one, other = ran("lora", 0.7, 9), replace(ran("lora", 0.8, 9, seed=1), answers=of_wrong(5, [0]))
    (point,) = placed(one, other)
    assert (point.answers_of(one.id), point.answers_of(other.id)) == (None, other.answers)
    assert point.answers_of("no such run") is None


def test_the_front_is_what_nothing_else_beats():
    small, beaten, large = (
        ran("fourierft", 0.75, 6_000),
        ran("lora", 0.74, 73_728),
        ran("cdvft", 0.80, 13_824),
    )
    worse, twin = ran("c3a", 0.79, 13_824), ran("cdvft", 0.80, 13_824, alpha=2.0)
    members = front(placed(small, beaten, large, worse, twin), "parameters")
    assert [point.runs for point in members] == [(small,), (large,), (twin,)]
    assert front(placed(small), "memory") == []


def test_who_costs_more_and_scores_the_same_is_not_on_the_front():
    cheap, dear, best = ran("lora", 0.75, 6_000), ran("cdvft", 0.75, 13_824), ran("c3a", 0.75, 13_823)
    members = front(placed(cheap, dear, best), "parameters")
    assert [point.runs for point in members] == [(cheap,)]


def test_standard_errors():
    assert standard_error("accuracy", 0.8, 1024) == pytest.approx(0.0125, rel=0.01)
    assert standard_error("accuracy", 1.0, 20) > 0.05, "twenty of twenty are not certain"
    assert standard_error("matthews", 0.5, 101) == pytest.approx(0.075)
    assert standard_error("accuracy", 0.5, 2) == pytest.approx(sqrt(0.25 / 6))
    assert standard_error("accuracy", 0.5, 1) is None
    assert standard_error("accuracy", 0.8, None) is None
    assert standard_error("chrf", 0.8, 1024) is None


def test_the_recorded_race_in_sentences_also_where_cdvft_loses(tmp_path):
    store = RunStore(tmp_path)
    finished = [compared_run(run) for run in store.recorded() if is_scored(run)]
    (one,) = comparisons(with_answers(finished, store))
    winner, lora, fourier, doubt = (said.replace("\u00a0", " ") for said in say(points(one), PARAMETERS))
    assert winner.startswith("FourierFT n = 1,000 (80.2 %, 12,000 parameters) has the highest accuracy")
    assert lora.startswith("No difference is shown: CDVFT m = 2 has 1.6 points more than LoRA r = 8 (")
    assert fourier.startswith(
        "No difference is shown: CDVFT m = 2 has 0.5 points less than FourierFT n = 1,000 ("
    )
    assert "row by row over 1,024 rows" in doubt and "3 pairs are corrected together" in doubt
    assert say(points(one), MEMORY) == ["Nobody measured the memory of these runs."]


def test_one_setting_alone_is_not_called_a_winner():
    (said,) = say(placed(ran("cdvft", 0.8, 13_824)), PARAMETERS)
    assert "13,824 parameters) is the only setting drawn." in said


@pytest.mark.parametrize(
    ("ranks", "said"),
    [
        (
            (2, 4),
            "On the front of accuracy against parameters: LoRA r = 2 (70.2 %, 200 parameters) and "
            "LoRA r = 4 (70.4 %, 400 parameters).",
        ),
        (
            (1, 2, 4),
            "On the front of accuracy against parameters: LoRA r = 1 (70.1 %, 100 parameters), "
            "LoRA r = 2 (70.2 %, 200 parameters) and LoRA r = 4 (70.4 %, 400 parameters).",
        ),
        (
            (1, 2, 4, 8),
            "On the front of accuracy against parameters: 4 settings, from LoRA r = 1 (70.1 %, 100 "
            "parameters) to LoRA r = 8 (70.8 %, 800 parameters).",
        ),
    ],
)
def test_a_front_names_up_to_three_settings_and_of_more_its_ends(ranks, said):
    drawn = placed(*(ran("lora", 0.7 + rank / 1000, 100 * rank, lora_r=rank) for rank in ranks))
    assert say(drawn, PARAMETERS)[0].replace("\u00a0", " ") == said


def test_who_is_alone_on_the_front_and_in_what():
    drawn = placed(
        *(replace(ran(one, 0.7, 9, 40 + dear), metric_name="wer") for dear, one in enumerate(("lora", "c3a")))
    )
    said = sentences(drawn, SECONDS, judge_points(drawn))[0].replace("\u00a0", " ")
    assert said == "LoRA r = 8 (0.700, 40.0 s) has the highest score with the shortest training."
    assert say(drawn, FLOPS) == ["No extra FLOPs are known of these runs."]


def test_where_cdvft_took_no_part_the_highest_is_told_of():
    low, high = ran("lora", 0.7, 9), ran("c3a", 0.9, 99)
    assert say(placed(low, high), PARAMETERS)[1].startswith("C3A b\u00a0=\u00a0384 is ahead of LoRA")
    ranks = placed(*(ran("lora", 0.5 + rank / 100, rank, lora_r=rank) for rank in range(1, 7)))
    assert len(say(ranks, PARAMETERS)) == 1, "more settings of one method than are compared in pairs"


def test_only_one_race_alone_is_judged_as_the_family_that_it_was():
    """Beside another race's runs a sweep's dimensions are not judged, and its count of pairs is not taken."""
    small, large = (
        replace(ran("cdvft", score, 9, m=m), sweep=True, family=7) for m, score in ((2, 0.7), (3, 0.8))
    )
    own = judge_points(placed(small, large))
    assert ([*own.along], next(iter(own.between.values())).family) == ([("cdvft", "m", "2 3")], 7)
    mixed = judge_points(placed(small, replace(large, group_id="another race")))
    assert ([*mixed.along], next(iter(mixed.between.values())).family) == ([], 1)
    race = judge_points(placed(replace(small, sweep=False), replace(large, sweep=False)))
    assert ([*race.along], len(race.between)) == ([], 1)


def test_the_best_of_many_is_corrected_for_where_no_rows_were_kept():
    (said_front, against, doubt) = say(
        placed(
            ran("cdvft", 0.80, 13_824),
            *(ran("lora", 0.90 + r / 1000, 9_216 * r, 80, lora_r=r) for r in (2, 8, 32)),
        ),
        SECONDS,
    )
    assert "CDVFT m\u00a0=\u00a02 (80.0\u00a0%, 40.0 s)" in said_front
    assert against.startswith("CDVFT m\u00a0=\u00a02 is behind LoRA r\u00a0=\u00a032 by 13.2 points (")
    assert "each score errs for itself, over 1,024 rows" in doubt
    assert doubt.endswith("judged on the rows it is chosen by, so all pairs of them count.")


def test_a_method_without_extra_flops_is_said_to_have_none():
    one, head = (
        replace(ran(method, 0.7, 9), flops=flops) for method, flops in (("cdvft", 7 * 10**9), ("head", 0))
    )
    assert "(70.0\u00a0%, no extra FLOPs)" in say(placed(one, head), FLOPS)[0]


def test_a_finished_run_of_the_store(tmp_path):
    store = RunStore(tmp_path)
    (run,) = store.create([RunSettings(method="cdvft", **RACE)], None, sweep=True)
    assert not is_scored(run)
    for lacking in ({}, {"metric": 0.5}, {"metric_name": "accuracy"}):
        assert not is_scored(replace(run, state="finished", **lacking)), "without a score"
    assert not is_scored(replace(run, metric=0.5, metric_name="accuracy")), "before it finished"
    store.set_state(run.id, "preparing")
    store.append(run.id, run_events.started(2, trainable_parameters=13_824, evaluation_examples=32))
    store.append(run.id, run_events.done(2, tmp_path, peak_memory_bytes=2_000_000, seconds=1.5))
    assert is_scored(store.get(run.id))
    found = compared_run(store.get(run.id))
    assert (found.metric, found.rows, found.steps, found.device) == (
        0.75,
        32,
        2,
        "CPU, 2 threads",
    )
    assert (found.parameters, found.seconds, found.memory, found.flops) == (13_824, 1.5, 2_000_000, None)
    kept = store.get(run.id)
    for name in ("id", "group_id", "name", "settings", "metric_name", "sweep", "family"):
        assert getattr(found, name) == getattr(kept, name), name
    assert not found.recorded and found.state == "finished"
    stopped = compared_run(replace(kept, state="stopped"))
    assert (stopped.state, stopped.metric) == ("stopped", None), "its score is of half a training"
    (same,) = with_answers([replace(found, metric_name="matthews")], store)
    assert same.answers is None
    predictions.write(store.folder(run.id), np.arange(4), np.array([0, 1, 0, 1]), np.eye(2)[[0, 1, 1, 1]])
    (same,) = with_answers([replace(found, metric_name="matthews")], store)
    assert same.answers.score == pytest.approx(1 / sqrt(3)), "for the metric of the run"
    assert compared_run(replace(kept, metric_name="matthews"), store).answers.score == same.answers.score


# What a run's method added to its training in operations: the cost table's of a step, times the steps

CHOSEN: dict[str, Any] = {
    "model": "minilm", "dataset": "rotten_tomatoes", "target_modules": ("query",), "batch_size": 32,
    "max_length": 48, "method": "lora",
}  # fmt: skip


def counted_run(**changed: Any) -> ComparedRun:
    settings = RunSettings(**{**CHOSEN, **changed})
    return ComparedRun(settings=settings, state="finished", metric=0.8, steps=128, seconds=3.5)


def test_flops_are_those_of_the_cost_table():
    asked = {"model": "minilm", "methods": ["lora"], "targets": ["query"], "batch": 32, "sequence": 48}
    (row,) = cost_table(parse_cost(asked))
    (counted,) = with_flops([counted_run()])
    assert (counted.seconds, counted.flops) == (3.5, 128 * row["flops_per_step"])


@pytest.mark.parametrize(
    ("changed", "flops"),
    [
        ({"method": "head"}, 0),
        ({"model": None}, None),
        ({"model": "somebody/something"}, None),
        ({"batch_size": None}, None),
        ({"method": "c3a", "c3a_block_size": 5}, None),
    ],
    ids=["of a head none", "no model", "unknown shapes", "no batch", "a block that fits no layer"],
)
def test_what_has_none_and_what_is_not_known(changed, flops):
    assert extra_flops(counted_run(**changed)) == flops
