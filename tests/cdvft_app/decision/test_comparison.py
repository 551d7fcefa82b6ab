"""The comparison shows the cost table's numbers, says them in sentences, and follows them as they grow."""

from __future__ import annotations

import json

import pytest

from benchmarks.record_costs import costs
from cdvft_app.costs.request import parse_cost
from cdvft_app.costs.table import cost_table
from cdvft_app.decision.comparison import compare, grown
from cdvft_app.ui.compare.form import recorded_costs

FOUR = ["cdvft", "lora", "fourierft", "c3a"]


def test_the_recorded_start_is_what_is_computed_now():
    assert json.loads(json.dumps(costs())) == recorded_costs()


@pytest.mark.parametrize(
    "request_",
    [
        {"model": "meta-llama/Meta-Llama-3-8B"},
        {"model": "gpt2"},
        {"model": "vit_base_patch16_224", "methods": ["fourierft"]},
        {"model": "roberta-base", "methods": ["head", "full"]},
        {"model": "roberta-base", "methods": FOUR, "match": "flops_per_step"},
    ],
)
def test_any_model_makes_a_page(request_):
    shown = json.loads(json.dumps(compare(parse_cost(request_))))
    (texts,) = (one["texts"] for one in shown["answers"] if one["key"] == "parameters")
    for asked, text, row in zip(shown["methods"], texts, shown["rows"], strict=True):
        assert asked["unavailable"] == row["unavailable"]
        assert text == (None if row["unavailable"] else f"{row['trainable_parameters']:,}")


@pytest.mark.parametrize("model", ["roberta-base", "meta-llama/Meta-Llama-3-8B"])
@pytest.mark.parametrize(
    "held", [{}, {"targets": ["all-linear"]}, {"precision": "4bit", "gradient_checkpointing": True}], ids=str
)
def test_growth_passes_through_the_table(model, held):
    """Though equal layers are counted together along it."""
    request = parse_cost({"model": model, "methods": FOUR, **held})
    shown = grown(request)
    rows = {row["method"]: row for row in cost_table(request)}
    assert [axis["key"] for axis in shown["growth"]] == [
        "tokens", "width", "m", "block_size", "lora_r", "fourierft_n",
    ]  # fmt: skip
    for axis in shown["growth"]:
        at = axis["x"].index(axis["at"])
        if axis["key"] in ("width", "block_size"):  # there not every layer is as the model's
            continue
        for series in axis["series"]:
            row, costs = rows[series["method"]], series["costs"]
            needs = sum(
                row[f"{of}_bytes"] for of in ("adapter_weight", "gradient", "optimizer", "activation")
            )
            found = costs["flops"][at], costs["parameters"][at], costs["memory"][at]
            expected = row["flops_per_step"], row["trainable_parameters"], needs
            assert found == expected, axis["key"]
