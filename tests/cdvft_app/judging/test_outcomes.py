"""Finished runs: which are compared, which are one point, who is on the front, and what is called a tie."""

from __future__ import annotations

from itertools import count
from typing import Any

from cdvft_app.costs.request import parse_cost
from cdvft_app.costs.table import cost_table
from cdvft_app.judging.compared_runs import ComparedRun
from cdvft_app.judging.outcomes import (
    AXES,
    comparisons,
    front,
    points,
    with_flops,
)
from cdvft_app.settings import RunSettings

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


def test_the_front_is_what_nothing_else_beats():
    small, beaten = ran("fourierft", 0.75, 6_000), ran("lora", 0.74, 73_728)
    large, level = ran("cdvft", 0.80, 13_824), ran("vera", 0.75, 6_001)
    worse, twin = ran("c3a", 0.79, 13_824), ran("cdvft", 0.80, 13_824, alpha=2.0)
    members = front(placed(small, beaten, large, level, worse, twin), "parameters")
    assert [point.runs for point in members] == [(small,), (large,), (twin,)]
    assert front(placed(small), "memory") == []


# What a run's method added to its training in operations: the cost table's of a step, times the steps


def test_flops_are_those_of_the_cost_table():
    asked = {"methods": ["lora"], "targets": ["query", "value"], "batch": 32, "sequence": 48}
    (row,) = cost_table(parse_cost({"model": "minilm", **asked}))
    (counted,) = with_flops([ran("lora", 0.8, 9)])
    assert (counted.seconds, counted.flops) == (40.0, 128 * row["flops_per_step"])
