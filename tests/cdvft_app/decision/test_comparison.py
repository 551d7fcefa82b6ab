"""The comparison shows the cost table's numbers, says them in sentences, and follows them as they grow."""

from __future__ import annotations

import json

import pytest

from benchmarks.record_costs import costs
from cdvft_app.costs.quantities import added_memory
from cdvft_app.costs.request import parse_cost
from cdvft_app.costs.sentences import sentences
from cdvft_app.costs.table import cost_table
from cdvft_app.decision.comparison import compare, grown
from cdvft_app.ui.compare.form import START, cost_request, recorded_costs

FOUR = ["cdvft", "lora", "fourierft", "c3a"]


def test_the_recorded_start_is_what_is_computed_now():
    assert json.loads(json.dumps(costs())) == recorded_costs()


def test_sentences_also_speak_against_cdvft():
    rows = cost_table(parse_cost({"model": "roberta-base", "methods": FOUR}))
    said = sentences(rows)
    assert said["seconds"] == []  # nothing is measured
    (parameters,), (flops, fixed), (memory,) = (said[key] for key in ("parameters", "flops", "memory"))
    assert "LoRA r\u00a0=\u00a08 trains 5.33 times that" in parameters
    assert "C3A b\u00a0=\u00a0768 0.333 times that" in parameters
    assert "LoRA r\u00a0=\u00a08 adds 0.571 times that" in flops
    assert "below 33 tokens a step" in fixed and "about as much" in memory


def test_measured_times_say_when_they_are_level():
    rows = cost_table(parse_cost({"model": "roberta-base", "methods": FOUR[:3]}))
    spans = {"cdvft": (1.0, 0.95, 1.05), "lora": (0.98, 0.9, 1.0), "fourierft": (2.0, 1.9, 2.1)}
    for row in rows:
        seconds, low, high = spans[row["method"]]
        row["measured"] = {"seconds": seconds, "low": low, "high": high, "device": "a CPU"}
    (said,) = sentences(rows)["seconds"]
    assert "1.02 times LoRA r\u00a0=\u00a08's (within the spread)" in said
    assert "0.500 times FourierFT n\u00a0=\u00a01,000's." in said


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
    assert shown["sentence"].endswith(".") and len(shown["answers"]) <= 5
    texts = shown["answers"][2]["texts"]
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
            found = costs["flops"][at], costs["parameters"][at], costs["memory"][at]
            expected = row["flops_per_step"], row["trainable_parameters"], added_memory(row)
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


def test_the_notes_of_the_axes_say_what_grows():
    """A part of LoRA's memory does not grow with its rank, and FourierFT's FLOPs do not with its n."""
    shown = grown(parse_cost({"model": "roberta-base", "methods": FOUR}))
    axes = {axis["key"]: axis for axis in shown["growth"]}

    def over_first(key: str, quantity: str) -> list[float]:
        method = key.partition("_")[0]
        (series,) = [one for one in axes[key]["series"] if one["method"] == method]
        return [value / series["costs"][quantity][0] for value in series["costs"][quantity]]

    ranks = [r / axes["lora_r"]["x"][0] for r in axes["lora_r"]["x"]]
    assert "numbers and FLOPs are proportional to its rank" in axes["lora_r"]["note"]
    assert over_first("lora_r", "parameters") == pytest.approx(ranks)
    assert over_first("lora_r", "flops") == pytest.approx(ranks)
    assert over_first("lora_r", "memory")[-1] < ranks[-1] / 2
    counts = [n / axes["fourierft_n"]["x"][0] for n in axes["fourierft_n"]["x"]]
    assert "FLOPs are the same whatever n is" in axes["fourierft_n"]["note"]
    assert over_first("fourierft_n", "parameters") == pytest.approx(counts)
    assert set(over_first("fourierft_n", "flops")) == {1.0}


def test_what_the_form_asks_for():
    typed = {"m": "3", "block_size": "", "lora_r": " 4", "methods": ["lora", "cdvft"]}
    assert cost_request({**START, **typed}) == {
        "model": "FacebookAI/roberta-base", "targets": ["query", "value"], "methods": ["cdvft", "lora"],
        "m": 3, "lora_r": 4, "fourierft_n": 1000, "dora_r": 8, "vera_r": 256, "batch": 16, "sequence": 128,
        "convention": "real_fft", "device": "here", "precision": "float32", "aim": "quality",
    }  # fmt: skip
