"""What a sweep's lists become: every run that differs, none twice, the first seed's first."""

import re

import pytest

from cdvft_app.settings import InvalidChoice, RaceRequest
from cdvft_app.sweep import SweepRequest, numbers, parse_sweep


def request(methods, **lists):
    return SweepRequest(base=RaceRequest(recipe="mnist", methods=methods), **lists)


CROSSED = [
    (("cdvft",), {"m": (2, 3), "block_size": (384, 48), "learning_rates": (0.3, 1, 3)}, 12),
    (("lora",), {"m": (2, 3), "block_size": (384, 48), "lora_r": (2, 8)}, 2),
    (("cdvft", "lora", "head"), {"m": (2, 3, 4), "lora_r": (2, 8), "seeds": (0, 1)}, (3 + 2 + 1) * 2),
    (("fourierft", "c3a"), {"fourierft_n": (250, 1000), "c3a_block_size": (384, 48, 12)}, 5),
    (("cdvft",), {}, 1),
]


@pytest.mark.parametrize(("methods", "lists", "count"), CROSSED)
def test_a_method_is_crossed_with_what_it_uses(methods, lists, count):
    asked = request(methods, **lists)
    assert len(asked.runs()) == len(set(asked.runs())) == asked.count() == count


def test_seeds_come_one_after_the_other_and_rates_are_multiples_of_the_methods_own():
    runs = request(("cdvft", "lora"), learning_rates=(0.3, 1, 3), seeds=(5, 6)).runs()
    assert [run.seed for run in runs] == [5] * 6 + [6] * 6
    assert [run.method.learning_rate for run in runs[:6]] == [3e-3, 1e-2, 3e-2, 9e-4, 3e-3, 9e-3]
    own = SweepRequest(
        base=RaceRequest(recipe="mnist", methods=("lora",), learning_rates={"lora": 0.1}),
        learning_rates=(1, 2),
    )
    assert [run.method.learning_rate for run in own.runs()] == [0.1, 0.2]


BASE = {"recipe": "mnist", "methods": ["cdvft"]}
BAD = [
    ([2, 3], "must be one object"),
    ({}, "base"),
    ({"base": BASE, "m": 3}, "m: got 3"),
    ({"base": BASE, "m": [2, 2]}, "m: got [2, 2]; it names a value twice"),
    ({"base": BASE, "learning_rates": [1, 1.001]}, "the same to three digits"),
    ({"base": BASE, "m": ["two"]}, "m.0: got 'two'"),
    ({"base": BASE, "learning_rates": [0]}, "learning_rates.0: got 0"),
    ({"base": BASE, "learning_rates": [float("nan")]}, "learning_rates.0: got nan"),
    ({"base": BASE, "seeds": [-1]}, "seeds.0: got -1"),
    ({"base": BASE, "m": list(range(2, 15))}, "at most 12"),
    ({"base": BASE, "rank": [1]}, "rank is not a setting. The settings are: base, learning_rates"),
    ({"base": BASE | {"methods": ["lore"]}}, "base.methods.0: got 'lore'"),
    (
        {"base": BASE, "m": list(range(2, 14)), "block_size": list(range(1, 13)), "seeds": list(range(8))},
        "These lists make 1,152 runs; at most 1,000",
    ),
]


@pytest.mark.parametrize(("values", "sentence"), BAD)
def test_a_bad_request_is_a_sentence(values, sentence):
    with pytest.raises(InvalidChoice, match=re.escape(sentence)):
        parse_sweep(values)


@pytest.mark.parametrize(
    ("typed", "values"),
    [("2, 3,4", [2, 3, 4]), (" 0.3 1;3 ", [0.3, 1, 3]), ("", []), (" , ", []), ("two,2", ["two", 2])],
)
def test_lists_are_read_as_they_are_typed(typed, values):
    assert numbers(typed) == values
