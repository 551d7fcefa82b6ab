"""`cdvft cost`: known counts, matched sizes, the length of the output, and errors."""

from __future__ import annotations

import json
from functools import partial

import pytest

from cdvft_app.catalog.entries import KNOWN_MODELS


@pytest.fixture
def cost(command_line):
    return partial(command_line, "cost")


def test_json_has_the_known_counts(cost):
    code, output, errors = cost(
        "--model", "roberta-base", "--targets", "query,value", "--methods", "cdvft,lora,fourierft", "--json"
    )
    answer = json.loads(output)
    rows = answer["rows"]
    assert [one["texts"][0] for one in answer["answers"] if one["key"] == "parameters"] == ["55,296"]
    assert answer["recommended"] in answer["sentence"] and answer["recommended"] in answer["methods"]
    assert (code, errors) == (0, "")
    assert [(row["method"], row["trainable_parameters"]) for row in rows] == [
        ("cdvft", 55_296),
        ("lora", 294_912),
        ("fourierft", 24_000),
    ]


def test_settings_reach_the_count(cost):
    options = ("--model", "roberta-base", "--methods", "cdvft,lora", "--json", "--batch", 4, "--sequence", 64)
    rows = json.loads(cost(*options, "--m", 3, "--block-size", 256, "--lora-r", 4)[1])["rows"]
    assert [(row["method"], row["trainable_parameters"]) for row in rows] == [
        ("cdvft", 24 * (3 * 768 + 2 * 3 * 768)),
        ("lora", 294_912 // 2),
    ]
    assert {(row["batch"], row["sequence"]) for row in rows} == {(4, 64)}
    matched = json.loads(cost(*options, "--match", "trainable_parameters")[1])["rows"]
    assert matched[1]["setting"] == {"r": 2}  # 73,728 is nearer, as a ratio, than rank 1 with 36,864
    lora = json.loads(cost(*options, "--lora-rank-pattern", "query=16 value=4")[1])["rows"][1]
    assert lora["setting"] == {"r": 8, "rank_pattern": "query=16 value=4"}
    assert lora["trainable_parameters"] == 294_912 * (16 + 4) / (8 + 8)


@pytest.mark.parametrize("model", [model.id for model in KNOWN_MODELS])
def test_cost_prints_at_most_16_lines(cost, model):
    lines = cost("--model", model)[1].splitlines()
    assert len(lines) <= 16
    assert len(cost("--model", model, "--explain")[1].splitlines()) > len(lines)


def test_no_number_of_the_table_is_cut(cost):
    everything = ("--model", "meta-llama/Meta-Llama-3-8B", "--m", 16, "--block-size", 1024)
    output = cost(*everything)[1]
    assert "8,030,261,248" in output and "32.1 GB" in output and "…" not in output


BAD = [
    (["--model", "roberta-base", "--lora-r", 0], "--lora-r: got 0"),
    (["--model", "roberta-base", "--block-size", 769], "769"),
    (["--model", "roberta-base", "--methods", "lore"], "got 'lore'"),
    (["--model", "roberta-base", "--targets", "nothing"], "has no linear layer 'nothing'"),
    (["--model", "nothing"], "'nothing'"),
    (["--model", "roberta-base", "--device", "t5"], "--device: got 't5'"),
    ([], "Missing option '--model'"),
]


@pytest.mark.parametrize(("options", "sentence"), BAD)
def test_what_cannot_be_counted_is_a_sentence(cost, monkeypatch, options, sentence):
    monkeypatch.setenv("SPACE_ID", "nobody/nothing")  # names are not looked up on the hub
    code, output, errors = cost(*options)
    assert code == 2 and output == "" and sentence in errors and "Traceback" not in errors
