"""The comparison shows the cost table's numbers, says them in sentences, and follows them as they grow."""

from __future__ import annotations

import json

import pytest

from benchmarks.record_costs import costs
from cdvft_app.costs.request import parse_cost
from cdvft_app.costs.table import cost_table
from cdvft_app.decision.comparison import compare, grown
from cdvft_app.ui.compare.form import START, cost_request, recorded_costs

ADDED = ("adapter_weight", "gradient", "optimizer", "activation")
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


@pytest.mark.parametrize(
    ("asked", "name", "block_size"),
    [
        ({}, "C3A", None),
        ({"c3a_block_size": 64}, "C3A b = 64", 64),
        ({"match": "trainable_parameters"}, "C3A b = 256", 256),
    ],
)
def test_along_the_width_a_block_size_that_was_chosen_or_matched_stays(asked, name, block_size):
    """And one that was left to the layers is their width."""
    shown = grown(parse_cost({"model": "roberta-base", "methods": ["cdvft", "c3a"]} | asked))
    (axis,) = [one for one in shown["growth"] if one["key"] == "width"]
    (c3a,) = [one for one in axis["series"] if one["method"] == "c3a"]
    assert c3a["label"].replace("\u00a0", " ") == name
    layers = 24
    for width, parameters in zip(axis["x"], c3a["costs"]["parameters"], strict=True):
        fits = block_size is None or width % block_size == 0
        assert parameters == (layers * width**2 // (block_size or width) if fits else None), width


def test_a_layer_with_a_rank_of_its_own_is_counted_along_every_axis():
    asked = {"model": "roberta-base", "methods": ["lora"]}
    ranks = "layer.0.attention.self.query=64 value=4"
    request = parse_cost({**asked, "lora_rank_pattern": ranks})
    (row,) = cost_table(request)
    assert row["trainable_parameters"] == (64 + 11 * 8 + 12 * 4) * 2 * 768
    for axis in grown(request)["growth"]:
        (costs,) = [one["costs"] for one in axis["series"]]
        at = axis["x"].index(axis["at"])
        assert costs["parameters"][at] == row["trainable_parameters"], axis["key"]
        assert costs["flops"][at] == row["flops_per_step"], axis["key"]


def test_what_the_form_asks_for():
    typed = {"m": "3", "block_size": "", "lora_r": " 4", "methods": ["lora", "cdvft"]}
    assert cost_request({**START, **typed}) == {
        "model": "FacebookAI/roberta-base", "targets": ["query", "value"], "methods": ["cdvft", "lora"],
        "m": 3, "lora_r": 4, "fourierft_n": 1000, "dora_r": 8, "vera_r": 256, "batch": 16, "sequence": 128,
        "convention": "real_fft", "device": "here", "precision": "float32", "aim": "quality",
    }  # fmt: skip
