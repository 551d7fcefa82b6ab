"""The measurement of a step: every method on tiny models of each kind, refusals, and what it reports."""

from __future__ import annotations

import json

import pytest

from cdvft_app.costs.memory import available_bytes
from cdvft_app.costs.request import parse_cost
from cdvft_app.costs.table import cost_table
from cdvft_app.measuring.measure import MIN_STEPS, measure
from cdvft_app.methods import METHODS
from cdvft_app.shapes import model_shapes

BERT = {"model_type": "bert", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "vocab_size": 100, "max_position_embeddings": 64}  # fmt: skip
VIT = {**BERT, "model_type": "vit", "image_size": 32, "patch_size": 16}
LLAMA = {**BERT, "model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_key_value_heads": 2}


def told(values):
    found = []
    measure(parse_cost({"batch": 2, "fourierft_n": 20, "lora_r": 2, **values}), found.append, seconds=0.01)
    return found


@pytest.mark.parametrize(
    ("configuration", "step", "lacking"),
    [(BERT, {"sequence": 8}, set()), (VIT, {}, set()), (LLAMA, {"sequence": 8}, {"head"})],
)
def test_every_method_is_measured(model_of, configuration, step, lacking):
    found = told({"model": model_of(configuration), **step})
    results = {line["method"]: line for line in found if line["kind"] == "result"}
    assert results.keys() == set(METHODS) - lacking
    assert {line["method"] for line in found if line["kind"] == "refused"} == lacking
    for line in results.values():
        assert 0 < line["low"] <= line["seconds"] <= line["high"] and line["steps"] >= MIN_STEPS
        assert line["forward_seconds"] > 0 and line["peak_bytes"] >= 0 and line["device"]
        assert 0 <= line["others"] <= 1
    counted = cost_table(parse_cost({"model": results["cdvft"]["model"], "batch": 2, "fourierft_n": 20,
                                     "lora_r": 2, **step}))  # fmt: skip
    whole = {row["method"]: row["total_flops_per_step"] for row in counted}
    assert {method: line["step_flops"] for method, line in results.items()} == {
        method: whole[method] for method in results
    }
    assert results["lora"]["setting"] == {"r": 2}
    assert json.loads(json.dumps(found)) == found


def test_memory_is_the_model_and_what_a_step_adds():
    shapes = model_shapes("roberta-base")
    rows = {row["method"]: row for row in cost_table(parse_cost({"model": "roberta-base", "batch": 16}))}
    need = {method: row["step_bytes"] for method, row in rows.items()}
    tokens, block = 16 * 128, 3 * 768 + 768 + 3072 + 768 + 768  # outputs of six layers, and of attention
    block += 2 * 768 + 3 * 12 * 128  # dropout, and scores of twelve heads on a CPU
    kept = 4 * tokens * 12 * block
    own = 16 * 55_296 + rows["cdvft"]["activation_bytes"]
    assert need["cdvft"] == 4 * shapes.total_parameters + own + kept
    assert need["head"] < need["cdvft"] < need["fourierft"] < need["full"]
    assert available_bytes() > 0
