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
from cdvft_app.judging.outcomes import (
    AXES,
    comparisons,
    front,
    points,
    with_flops,
)
from cdvft_app.settings import RunSettings
from cdvft_app.store import predictions
from cdvft_app.store.runs import RunStore

PARAMETERS, FLOPS, SECONDS, MEMORY = AXES
NUMBERS = count()
RACE: dict[str, Any] = {
    "model": "minilm", "dataset": "rotten_tomatoes", "target_modules": ("query", "value"), "batch_size": 32,
    "train_examples": 2048, "max_length": 48, "c3a_block_size": 384,
}  # fmt: skip
ENDED: dict[str, Any] = {
    "group_id": "race", "state": "finished", "metric_name": "accuracy", "rows": 1024, "steps": 128,
}  # fmt: skip


def ran(method: str, metric: float, parameters: int, seconds: float = 40.0, **settings: Any) -> ComparedRun:
    own = RunSettings(**{"method": method, **RACE, **settings})
    measured = {"metric": metric, "parameters": parameters, "seconds": seconds}
    return ComparedRun(id=f"run{next(NUMBERS)}", settings=own, **measured, **ENDED)


def placed(*runs: ComparedRun) -> list[Any]:
    (one,) = comparisons(runs)
    return points(one)


def test_only_runs_of_the_same_data_model_and_budget_are_compared():
    first, second = ran("cdvft", 0.8, 13_824), ran("lora", 0.7, 73_728)
    other, smaller = ran("lora", 0.9, 9, dataset="sst2"), ran("lora", 0.9, 9, train_examples=64)
    found = comparisons([first, other, second, smaller])
    assert [one.runs for one in found] == [(first, second), (other,), (smaller,)]
    assert found[0].title == "Rotten Tomatoes with MiniLM (6 layers) · 2,048 examples, 128 steps · 2 runs"
    assert len({one.key for one in found}) == 3


@pytest.mark.parametrize(
    ("chosen", "same_as_unsaid"),
    [
        ({"bits": 4}, False),
        ({"bits": 32}, True),
        ({"precision": "bfloat16"}, False),
        ({"keep": "last"}, False),
        ({"gradient_checkpointing": True}, False),
        ({"gradient_accumulation": 4}, False),
        ({"gradient_accumulation": 1}, True),
    ],
)
def test_runs_in_another_precision_or_with_other_costs_are_no_seeds_of_one_setting(chosen, same_as_unsaid):
    """What is said out loud of a run that is as usual makes it no other one."""
    found = comparisons([ran("lora", 0.8, 9), ran("lora", 0.7, 9, **chosen)])
    assert len(found) == (1 if same_as_unsaid else 2)


def test_the_front_is_what_nothing_else_beats():
    small, beaten = ran("fourierft", 0.75, 6_000), ran("lora", 0.74, 73_728)
    large, level = ran("cdvft", 0.80, 13_824), ran("vera", 0.75, 6_001)
    worse, twin = ran("c3a", 0.79, 13_824), ran("cdvft", 0.80, 13_824, alpha=2.0)
    members = front(placed(small, beaten, large, level, worse, twin), "parameters")
    assert [point.runs for point in members] == [(small,), (large,), (twin,)]
    assert front(placed(small), "memory") == []


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
    kept = store.get(run.id)
    assert is_scored(kept)
    found = compared_run(kept)
    assert (found.metric, found.rows, found.steps, found.device) == (0.75, 32, 2, "CPU, 2 threads")
    assert (found.parameters, found.seconds, found.memory, found.flops) == (13_824, 1.5, 2_000_000, None)
    for name in ("id", "group_id", "name", "settings", "metric_name", "sweep", "family", "state", "recorded"):
        assert getattr(found, name) == getattr(kept, name), name
    stopped = compared_run(replace(kept, state="stopped"))
    assert (stopped.state, stopped.metric) == ("stopped", None), "its score is of half a training"
    of_matthews = replace(found, metric_name="matthews")
    assert with_answers([of_matthews], store)[0].answers is None
    predictions.write(store.folder(run.id), np.arange(4), np.array([0, 1, 0, 1]), np.eye(2)[[0, 1, 1, 1]])
    (same,) = with_answers([of_matthews], store)
    assert same.answers.score == pytest.approx(1 / sqrt(3)), "for the metric of the run"
    assert compared_run(replace(kept, metric_name="matthews"), store).answers.score == same.answers.score


# What a run's method added to its training in operations: the cost table's of a step, times the steps


def test_flops_are_those_of_the_cost_table():
    asked = {"methods": ["lora"], "targets": ["query", "value"], "batch": 32, "sequence": 48}
    (row,) = cost_table(parse_cost({"model": "minilm", **asked}))
    (counted,) = with_flops([ran("lora", 0.8, 9)])
    assert (counted.seconds, counted.flops) == (40.0, 128 * row["flops_per_step"])
