"""What a run's method added to its training in operations: the cost table's of a step, times the steps."""

from __future__ import annotations

from typing import Any

import pytest

from cdvft_app.costs.request import parse_cost
from cdvft_app.costs.table import cost_table
from cdvft_app.judging.outcomes import Outcome, extra_flops, with_flops
from cdvft_app.settings import RunSettings

CHOSEN: dict[str, Any] = {
    "model": "minilm", "dataset": "rotten_tomatoes", "target_modules": ("query",), "batch_size": 32,
    "max_length": 48, "method": "lora",
}  # fmt: skip


def ran(**changed: Any) -> Outcome:
    settings = RunSettings(**{**CHOSEN, **changed})
    return Outcome("1", "race", "A race", 0.0, settings, "accuracy", 0.8, 1024, 128, "CPU", {"seconds": 3.5})


def test_flops_are_those_of_the_cost_table():
    asked = {"model": "minilm", "methods": ["lora"], "targets": ["query"], "batch": 32, "sequence": 48}
    (row,) = cost_table(parse_cost(asked))
    (counted,) = with_flops([ran()])
    assert counted.amounts == {"seconds": 3.5, "flops": 128 * row["flops_per_step"]}


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
    assert extra_flops(ran(**changed)) == flops
