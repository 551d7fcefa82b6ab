"""Measured times in a comparison: rows get theirs, files too, and matching by seconds says what it found."""

from __future__ import annotations

import json

from cdvft_app.costs.request import parse_cost
from cdvft_app.decision.comparison import compare

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


MATCHED = {**ROBERTA, "match": "seconds_per_step"}


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
