"""The names of before, when all methods' settings stood side by side: read into methods, and written."""

from __future__ import annotations

import pytest

from cdvft_app.methods import METHODS, flat

Lora, C3A, Cdvft = METHODS["lora"], METHODS["c3a"], METHODS["cdvft"]


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (
            {"method": "lora", "lora_r": 4, "m": 3, "learning_rate": 0.1, "seed": 1},
            {"method": {"method": "lora", "r": 4, "learning_rate": 0.1}, "seed": 1},
        ),
        ({"method": "head", "seed": 1}, {"method": {"method": "head"}, "seed": 1}),
    ],
)
def test_a_run_of_before(given, read):
    assert flat.read_run(given) == read
    for another in (read, {"seed": 1}, {"method": 8}, ["method"], "lora"):
        assert flat.read_run(another) == another, "which is none"


DEFAULT = ("cdvft", "lora")


@pytest.mark.parametrize(
    ("given", "methods"),
    [
        ({}, [{"method": "cdvft"}, {"method": "lora"}]),
        ({"m": 3}, [{"method": "cdvft", "m": 3}, {"method": "lora"}]),
        ({"methods": ["lora"], "lora_r": 4, "m": 3}, [{"method": "lora", "r": 4}]),
        ({"methods": ("c3a",)}, [{"method": "c3a"}]),
        (
            {"methods": ["lora", {"method": "lora", "r": 8}], "learning_rates": {"lora": 0.1}},
            [{"method": "lora", "learning_rate": 0.1}, {"method": "lora", "r": 8}],
        ),
        ({"methods": [8]}, [8]),
    ],
)
def test_a_race_of_before(given, methods):
    assert flat.read_race({**given, "seed": 1}, DEFAULT) == {"methods": methods, "seed": 1}
