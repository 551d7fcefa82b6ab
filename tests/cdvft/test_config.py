"""What a configuration accepts, rejects, and writes."""

import json
import math
import re
from typing import Any

import pytest
from huggingface_hub import ModelCard
from peft import PeftConfig, get_peft_model

from cdvft import CDVFTConfig


def test_defaults_are_the_papers() -> None:
    config = CDVFTConfig()
    assert (config.m, config.alpha, config.block_size, config.init_weights) == (2, 1.0, None, True)
    assert config.peft_type == config.peft_type.value == "CDVFT"


@pytest.mark.parametrize("name", ["default", "legal"])
def test_saved_card_names_the_import(bert, tmp_path, name: str) -> None:
    model = get_peft_model(bert.model(), CDVFTConfig(target_modules=["query"]), name)
    for _ in range(2):  # PEFT writes its tags again each time
        model.save_pretrained(tmp_path)
        card = ModelCard.load(tmp_path / "README.md")
        assert "cdvft" in card.data.tags and card.data.library_name == "peft"
        assert card.text.count("import cdvft") == 1


REJECTED: dict[str, list[Any]] = {
    "m": [1, 0, -1, 65, 2.0, "2", True, None],
    "alpha": [0, math.nan, -math.inf, "1", True, -1e39, 10**400],
    "block_size": [0, -8, 8.0, True],
    "init_weights": ["gaussian", None],
    "backend": ["cuda"],
    "bias": ["lora_only"],
    "cdvft_dropout": [-0.1, 1.0, True, "0.1", None],
    "block_size_pattern": [["query"], 2.0],
    "target_modules": [3, ["query", 3], "layer.(", "a{99999999999999999999}"],
    "exclude_modules": ["*"],
    "target_parameters": ["experts.down_proj"],
    "modules_to_save": ["classifier"],
    "layers_pattern": [[3]],
    "trainable_token_indices": [[-1], [0.5], [], {"embed": [2, -7]}],
    "layers_to_transform": ["0", [0.5]],
}


@pytest.mark.parametrize(("field", "value"), [(k, v) for k, values in REJECTED.items() for v in values])
def test_config_rejects_and_names_the_value(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{field} is {value!r}")):
        CDVFTConfig(**{field: value})


@pytest.mark.parametrize("init_weights", [True, False, "zero_input"])
def test_saved_config_round_trips(tmp_path, init_weights, recwarn) -> None:
    config = CDVFTConfig(
        m=3, alpha=0.5, block_size=16, target_modules=["query", "value"], init_weights=init_weights,
        m_pattern={"value": 4}, block_size_pattern={"query": 8}, alpha_pattern={"value": 2.0},
        bias="cdvft_only", modules_to_save=["classifier", "head", "classifier"], layers_to_transform=[0, 1],
        layers_pattern="layer", task_type="SEQ_CLS",
    )  # fmt: skip
    config.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (saved["peft_type"], saved["needs"]) == ("CDVFT", "import cdvft")
    assert saved["modules_to_save"] == ["classifier", "head"]
    for cls in (CDVFTConfig, PeftConfig):
        loaded = cls.from_pretrained(tmp_path)
        assert type(loaded) is CDVFTConfig
        assert loaded.to_dict() == {**config.to_dict(), "target_modules": loaded.target_modules}
        assert set(loaded.target_modules) == {"query", "value"}
    assert not recwarn.list
