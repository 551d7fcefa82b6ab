"""An adapter_config.json that somebody else wrote: it works, or a sentence says at once what is wrong."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from peft import PeftConfig, get_peft_model
from torch import nn

from cdvft import CDVFTConfig

HOSTILE: list[Any] = [None, True, False, 0, 1, -1, 2, 3, 7, 1000, 200_000, 10**30, -(10**30), 0.5]
HOSTILE += [1e308, 1e-320, float("nan"), float("inf"), "", "0", "x", "(", "[", "../../etc", "a" * 500, "\0"]
HOSTILE += ["all-linear", "fft", "fused", "merged", "reference", "zero_input", "all", "SEQ_CLS"]
HOSTILE += ["FEATURE_EXTRACTION", [], {}, [0], ["0"], ["0", "0"], [None], [[]]]
HOSTILE += [{"0": 1}, {"0": [1]}, {"0": 10**9}, {"(": 1}, {"0": None}, {"": {}}]


def test_a_thousand_of_them(tmp_path: Path) -> None:
    draw = random.Random(0)
    honest = CDVFTConfig(target_modules=["0"]).to_dict() | {"target_modules": ["0"]}
    fields = [name for name in honest if name != "peft_type"]
    worked, slowest, raw = 0, 0.0, []
    for _ in range(1000):
        changes = {draw.choice(fields): draw.choice(HOSTILE) for _ in range(draw.randint(1, 3))}
        (tmp_path / "adapter_config.json").write_text(json.dumps(honest | changes, default=str))
        start = time.thread_time()
        try:
            model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
            get_peft_model(model, PeftConfig.from_pretrained(tmp_path))
            worked += 1
        except ValueError as error:
            assert str(error)
        except Exception as error:
            by_peft = isinstance(error, TypeError) and "cannot be applied to modules of type" in str(error)
            if not by_peft:
                raw.append(f"{changes}: {error!r}")
        slowest = max(slowest, time.thread_time() - start)
    assert raw == []
    assert 0 < worked < 1000
    assert slowest < 2


def test_the_most_is_taken_and_more_is_refused_before_it_is_made_or_printed() -> None:
    model = get_peft_model(nn.Sequential(nn.Linear(8, 8)), CDVFTConfig(m=64, target_modules=["0"]))
    assert len(model.base_model.model[0].factors("default").diagonals) == 64
    with pytest.raises(ValueError, match=r"m is a number of thousands of digits, but .* at most 64"):
        CDVFTConfig(m=10**5000)
    wide = nn.Sequential(nn.Linear(4096, 4096, device="meta"))
    sentence = r"block_size is 1 and m is 2.*16,777,216 circulant blocks, but 262,144 are the most"
    with pytest.raises(ValueError, match=sentence):
        get_peft_model(wide, CDVFTConfig(block_size=1, target_modules=["0"]))


SLOW = "(([a-z.]|[a-z_.])+)+!"
"""Takes time that doubles with each character of a name."""


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": SLOW},
        {"exclude_modules": "(.|.)" * 40 + "!"},
        {"m_pattern": {SLOW: 3}},
        {"alpha_pattern": {".*.*.*.*.*.*.*.*.*.*.*!": 2.0}},
        {"layers_pattern": SLOW, "layers_to_transform": [0]},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_expressions_that_backtrack_without_end_are_refused(settings: dict[str, Any], monkeypatch) -> None:
    monkeypatch.setattr("cdvft.targets.MAX_MATCHING_SECONDS", 0.5)
    long = "a_module_with_a_name_of_more_than_forty_letters"
    model = nn.ModuleDict({long: nn.Sequential(nn.Linear(8, 8))})
    sentence = r"takes more than 0\.5 seconds to match with the names of \d+ modules"
    with pytest.raises(ValueError, match=sentence):
        get_peft_model(model, CDVFTConfig(**{"target_modules": ["0"], **settings}))


@pytest.mark.parametrize(
    "expression",
    [
        r".*(first|second)\.(0|1)$",
        r"(?:.*?(?:first|last).*?(?:0|1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16).*?)|(?:\bfirst\.[\d]{1,}\.(?:q|v))",
        r"(first\.)+(0|1)*",
        r"(?i)(FIRST\.)+(0|1)*",
    ],
)
def test_expressions_that_people_write_are_taken(expression: str) -> None:
    model = nn.ModuleDict({"first": nn.ModuleList([nn.Linear(8, 8)]), "third": nn.Linear(8, 8)})
    adapted = get_peft_model(model, CDVFTConfig(target_modules=expression))
    assert hasattr(adapted.base_model.model["first"][0], "cdvft_diagonals")
    assert not hasattr(adapted.base_model.model["third"], "cdvft_diagonals")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"layers_pattern": "(", "layers_to_transform": [0]}, r"layers_pattern is '\(', but %s"),
        (
            {"layers_pattern": "(?P<idx>x+)*", "layers_to_transform": [0]},
            "%s: redefinition of group name 'idx'",
        ),
        ({"target_modules": "(" * 5000 + ")" * 5000}, "%s"),
        ({"target_modules": "a{99999999999999999999}"}, "%s"),
    ],
    ids=["no expression", "name taken", "too deep", "too often"],
)
def test_what_is_no_expression_is_refused_in_a_sentence(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence % "that is no regular expression"):
        CDVFTConfig(**{"target_modules": ["0"], **settings})


def test_a_saved_configuration_names_no_module_twice(tmp_path: Path) -> None:
    config = CDVFTConfig(target_modules=["0"], modules_to_save=["head", "classifier", "head"])
    config.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "adapter_config.json").read_text())
    assert saved["modules_to_save"] == ["head", "classifier"]
