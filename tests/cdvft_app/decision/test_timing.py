"""Measured times in a comparison: rows get theirs, files too, and matching by seconds says what it found."""

from __future__ import annotations

import json

import pytest

from cdvft_app.costs.request import parse_cost
from cdvft_app.costs.table import cost_table
from cdvft_app.decision.comparison import compare
from cdvft_app.measuring.comparison_times import PRESS_MEASURE
from cdvft_app.settings import InvalidChoice

ROBERTA = {"model": "roberta-base", "methods": ["cdvft", "lora", "fourierft"]}


def measurement(seconds, time=100.0):
    return {"seconds": seconds, "low": 0.99 * seconds, "high": 1.01 * seconds, "steps": 9, "time": time,
            "forward_seconds": 0.3, "peak_bytes": 10**9, "others": 0.02,
            "device": "CPU, 2 threads"}  # fmt: skip


def store(**seconds):
    """Looks up step times: cdvft=1.0, lora={rank: time}, fourierft={n: time}."""

    def lookup(row):
        found = seconds.get(row["method"])
        if isinstance(found, dict):
            (value,) = row["setting"].values()
            found = found.get(value)
        return found and measurement(found)

    return lookup


def shown(values, **seconds):
    return json.loads(json.dumps(compare(parse_cost(values), lookup=store(**seconds))))


def test_measured_times_are_in_table_and_file():
    page = shown(ROBERTA, cdvft=1.0, lora={8: 0.8})
    step = page["answers"][-1]
    assert (step["key"], step["best"]) == ("seconds", [False, True, False])
    assert step["texts"] == ["1.00 s", "800 ms", None]
    assert page["measured"] == {"device": "CPU, 2 threads", "first": 100.0, "last": 100.0, "others": 0.02}
    assert page["rows"][1]["measured_seconds"] == 0.8 and "measured_seconds" not in page["rows"][2]


def test_what_is_too_large_says_so_in_its_row():
    page = compare(parse_cost(ROBERTA), lambda row: f"{row['method']} is too large.", lookup=store(cdvft=1.0))
    refused = [None, "lora is too large.", "fourierft is too large."]
    assert [one["refused"] for one in page["methods"]] == refused


MATCHED = {**ROBERTA, "match": "seconds_per_step"}


def test_nothing_is_matched_by_seconds_before_they_are_measured():
    for seconds in ({}, {"cdvft": 1.0}, {"cdvft": 1.0, "lora": {8: 1.0}}):  # one rank alone proves nothing
        page = shown(MATCHED, **seconds)
        assert page["methods"][0]["unavailable"] is None
        assert [one["unavailable"] for one in page["methods"][1:]] == [PRESS_MEASURE, PRESS_MEASURE]
        assert page["rows"][1]["trainable_parameters"] is None


def test_the_closest_time_is_matched_and_what_cannot_be_is_said():
    ranks = {2**k: 0.5 + 2**k / 128 for k in range(10)}
    page = shown(MATCHED, cdvft=1.0, lora=ranks, fourierft={1: 1.9})
    labels = [one["label"].replace("\u00a0", " ") for one in page["methods"][1:]]
    assert labels == ["LoRA r = 64", "FourierFT n = 1"]
    assert page["matched"] == [
        "LoRA r\u00a0=\u00a064 comes closest of the values tried, with 1 times CDVFT's step time.",
        "No match by time: even FourierFT n\u00a0=\u00a01 takes 1.90 times CDVFT's step.",
    ]
    level = shown(MATCHED, cdvft=1.0, fourierft={10**k: 0.995 + 0.002 * k for k in range(6)})
    assert "but all 6 are level within the spread" in level["matched"][0]
    quick = shown(MATCHED, cdvft=9.0, lora=ranks)
    assert "even LoRA r\u00a0=\u00a0512 takes only 0.500 times" in quick["matched"][0]


def test_a_table_that_only_counts_refuses_seconds():
    with pytest.raises(InvalidChoice, match=r"needs times that are measured.*Press Measure"):
        cost_table(parse_cost(MATCHED))


def test_a_ladder_of_one_value_is_matched_or_not(model_of):
    narrow = {"model_type": "bert", "hidden_size": 17, "intermediate_size": 34, "num_hidden_layers": 2,
              "num_attention_heads": 1, "vocab_size": 100}  # fmt: skip
    asked = {**MATCHED, "model": model_of(narrow), "methods": ["cdvft", "c3a"], "sequence": 8}
    (said,) = shown(asked, cdvft=1.0, c3a={17: 2.0})["matched"]
    assert "even C3A b\u00a0=\u00a017 takes 2 times CDVFT's step" in said
