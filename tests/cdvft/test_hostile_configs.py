"""An adapter_config.json from an untrusted source: it works, or a ValueError says what is wrong."""

from __future__ import annotations

import json
import random
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


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.nightly)])
def test_random_configs_work_or_raise_value_error(count: int, tmp_path: Path) -> None:
    draw = random.Random(0)
    honest = CDVFTConfig(target_modules=["0"]).to_dict() | {"target_modules": ["0"]}
    fields = [name for name in honest if name != "peft_type"]
    worked, raw = 0, []
    for _ in range(count):
        changes = {draw.choice(fields): draw.choice(HOSTILE) for _ in range(draw.randint(1, 3))}
        (tmp_path / "adapter_config.json").write_text(json.dumps(honest | changes, default=str))
        try:
            model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
            get_peft_model(model, PeftConfig.from_pretrained(tmp_path))
            worked += 1
        except ValueError as error:
            assert str(error)
        except Exception as error:
            by_peft = isinstance(error, TypeError) and "modules of type" in str(error)
            if not by_peft:
                raw.append(f"{changes}: {error!r}")
    assert raw == []
    assert 0 < worked < count


def test_limits_apply_before_memory_is_used() -> None:
    model = get_peft_model(nn.Sequential(nn.Linear(8, 8)), CDVFTConfig(m=64, target_modules=["0"]))
    assert len(model.base_model.model[0].factors("default").diagonals) == 64
    with pytest.raises(ValueError, match="64"):
        CDVFTConfig(m=10**5000)
    wide = nn.Sequential(nn.Linear(4096, 4096, device="meta"))
    with pytest.raises(ValueError, match="16,777,216"):
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
def test_backtracking_expressions_are_rejected(settings: dict[str, Any], monkeypatch) -> None:
    monkeypatch.setattr("cdvft.targets.MAX_MATCHING_SECONDS", 0.5)
    long = "a_module_with_a_name_of_more_than_forty_letters"
    model = nn.ModuleDict({long: nn.Sequential(nn.Linear(8, 8))})
    with pytest.raises(ValueError, match=next(iter(settings))):
        get_peft_model(model, CDVFTConfig(**{"target_modules": ["0"], **settings}))
