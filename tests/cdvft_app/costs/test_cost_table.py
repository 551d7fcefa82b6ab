"""The table that the command line, the page and the API show."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from cdvft_app.costs.request import parse_cost
from cdvft_app.costs.table import cost_table
from cdvft_app.methods import METHODS
from cdvft_app.settings import InvalidChoice

ROBERTA = "roberta-base"
LLAMA = "meta-llama/Meta-Llama-3-8B"


def rows(**choices: Any) -> dict[str, dict[str, Any]]:
    return {row["method"]: row for row in cost_table(parse_cost({"model": ROBERTA, **choices}))}


@pytest.mark.parametrize(
    ("choices", "parameters"),
    [
        ({}, {"cdvft": 55_296, "lora": 294_912, "fourierft": 24_000, "c3a": 18_432}),
        ({"m": 3}, {"cdvft": 92_160}),
        ({"lora_r": 4, "fourierft_n": 10}, {"lora": 147_456, "fourierft": 240}),
        ({"block_size": 256, "c3a_block_size": 64}, {"cdvft": 92_160, "c3a": 221_184}),
        ({"targets": ["output.dense"]}, {"lora": 12 * 8 * (768 + 768 + 768 + 3072)}),
        ({"labels": 3}, {"head": 3 * 769, "full": 124_055_040}),
        ({"match": "trainable_parameters"}, {"lora": 73_728, "fourierft": 55_296, "c3a": 55_296}),
        ({"model": LLAMA}, {"cdvft": 688_128, "lora": 3_407_872, "full": 8_030_261_248}),
        ({"model": "vit_base_patch16_224"}, {"cdvft": 64_512, "fourierft": 12_000}),
    ],
)
def test_trainable_parameters(choices, parameters):
    found = rows(**choices)
    assert {method: found[method]["trainable_parameters"] for method in parameters} == parameters


def test_what_checkpointing_computes_again_is_counted_in_the_whole_step():
    once, tokens = rows(), 16 * 128
    weights = 12 * (4 * 768 * 768 + 2 * 768 * 3072)
    blocks = tokens * (2 * weights + 12 * 4 * 128 * 768)  # products, and attention to 128 tokens
    for method, row in rows(gradient_checkpointing=True).items():
        again = row["total_flops_per_step"] - once[method]["total_flops_per_step"]
        expected = 0 if method == "head" else blocks + once[method]["forward_flops_per_step"]
        assert again == row["recomputed_flops_per_step"] == expected
        assert row["flops_per_step"] == once[method]["flops_per_step"]
        said = any("forward pass runs twice" in one for one in row["assumptions"])
        assert said == (method != "head")
    assert not any("runs twice" in said for said in once["lora"]["assumptions"])


def test_a_row_says_what_it_counted_and_goes_into_json():
    found = rows(model="vit_small", image_size=70, batch=4, block_size=192)
    assert tuple(found) == tuple(METHODS)
    for row in found.values():
        assert row["unavailable"] is None
        assert row == json.loads(json.dumps(row))
        assert None not in {name: value for name, value in row.items() if name != "unavailable"}.values()
        assert (row["batch"], row["sequence"], row["convention"]) == (4, 26, "real_fft")
        assert all(sentence.endswith(".") for sentence in row["assumptions"])
        parts = ("flops_per_step", "frozen_forward_flops_per_step", "frozen_backward_flops_per_step")
        assert row["total_flops_per_step"] == sum(row[part] for part in parts)
    assert found["cdvft"]["setting"] == {"m": 2, "block_size": 192}
    assert found["lora"]["setting"] == {"r": 8}
    assert (found["cdvft"]["targets"], found["cdvft"]["adapted_layers"]) == (["qkv"], 12)
    backward = {method: row["frozen_backward_flops_per_step"] for method, row in found.items()}
    assert backward["head"] == 0 < backward["lora"] < backward["full"]


@pytest.mark.parametrize(
    ("choices", "method", "sentence"),
    [
        ({"model": "gpt2"}, "c3a", "Conv1D layer, which PEFT's C3A does not support."),
        ({"model": "gpt2"}, "head", "has no classification head to train."),
        ({"match": "flops_per_step"}, "fourierft", "Match parameters instead."),
    ],
)
def test_a_method_that_does_not_fit_is_a_row_with_its_reason(choices, method, sentence):
    found = rows(**choices)
    assert found[method]["unavailable"].endswith(sentence)
    assert found[method]["trainable_parameters"] is None
    assert found["cdvft"]["unavailable"] is None
    assert found[method].keys() == found["cdvft"].keys()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"rank": 8}, "rank is not a setting of a cost table. The settings are: model, targets"),
        ({"lora_r": 0}, "lora_r: got 0; it must be from 1 to 512"),
        ({"batch": 10**9}, "batch: got 1000000000"),
        ({"methods": ["hydra"]}, "got 'hydra'; it must be 'cdvft', 'lora'"),
        ({"methods": ["lora", "lora"]}, "it names LoRA r\u00a0=\u00a08 twice"),
        ({"block_size": 1000}, "block_size: got 1000; encoder.layer.0.attention.self.query is 768 x 768, so"),
        ({"targets": []}, "targets: got"),
        ({"sequence": 513}, "at most 512 tokens"),
        ({"model": "vit_base_patch16_224", "sequence": 64}, "has 197 tokens at this size"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(values, sentence):
    with pytest.raises(InvalidChoice, match=re.escape(sentence)):
        cost_table(parse_cost({"model": ROBERTA, **values}))
