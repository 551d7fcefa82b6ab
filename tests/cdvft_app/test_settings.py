"""What is said of settings that cannot be: short and cheap, however much was wrong with them."""

from __future__ import annotations

from typing import Any

import pytest
from traced_lines import Lines

from cdvft_app import settings
from cdvft_app.costs.request import parse_cost
from cdvft_app.settings import InvalidChoice, parse_race
from cdvft_app.sweep import parse_sweep

HOSTILE: list[tuple[Any, str]] = [
    ({f"k{number}": 1 for number in range(4_000)}, "3,997 more problems"),
    ({"methods": ["telepathy"] * 5_000}, "4,997 more problems"),
    ({"target_modules": ["query"] * 5_000}, "target_modules: got"),
    ({"target_modules": [7] * 5_000}, "target_modules.0: got 7; it must be text"),
    ({"learning_rates": {f"k{number}": 1 for number in range(4_000)}}, "3,997 more problems"),
    ({"learning_rates": {"k" * 10**6: 1}}, "learning_rates.kkk"),
    ({"k" * 10**6: 1}, "is not a setting"),
    ({"m": "2" * 10**6}, "m: got '222"),
]


@pytest.mark.parametrize(("values", "told"), HOSTILE, ids=[told for _, told in HOSTILE])
def test_an_answer_is_short_whatever_came(values: dict[str, Any], told: str) -> None:
    for parse, asked in ((parse_race, values), (parse_sweep, {"base": values}), (parse_cost, values)):
        with pytest.raises(InvalidChoice) as refused:
            parse(asked)
        assert len(str(refused.value).encode()) < 4096
        assert parse is not parse_race or told in str(refused.value)


def test_few_problems_are_all_told() -> None:
    with pytest.raises(InvalidChoice) as refused:
        parse_race({"m": 1, "lora_r": 0, "seed": -1})
    told = [part.split(":")[0] for part in str(refused.value).split(". ")]
    assert told == ["seed", "m", "lora_r"]
    with pytest.raises(InvalidChoice, match=r"There is 1 more problem\.$"):
        parse_race({"m": 1, "lora_r": 0, "seed": -1, "alpha": -1})


def lines_run(count: int) -> int:
    """How many lines of settings.py run until `count` unknown settings are answered."""
    with Lines(str(settings.__file__)) as lines, pytest.raises(InvalidChoice):
        parse_race({f"k{number}": 1 for number in range(count)})
    return lines.count


def test_twice_as_many_problems_are_at_most_twice_the_work() -> None:
    few, many = lines_run(100), lines_run(200)
    assert 0 < many <= 2 * few


class Word(str):
    written = 0

    def __repr__(self) -> str:
        Word.written += 1
        return "query"


def test_of_a_long_list_only_the_beginning_is_written_out() -> None:
    with pytest.raises(InvalidChoice, match=r"target_modules: got \[query, query"):
        parse_race({"target_modules": [Word("query")] * 5_000})
    assert 0 < Word.written < 100
