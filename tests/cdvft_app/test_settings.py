"""What is said of settings that cannot be: short and cheap, however much was wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

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
