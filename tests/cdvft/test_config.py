"""What a configuration accepts, and the sentence with which it refuses the rest."""

import json
import math

import pytest
from huggingface_hub import ModelCard
from peft import PeftConfig, get_peft_model

from cdvft import CDVFTConfig


def test_defaults_are_the_papers() -> None:
    config = CDVFTConfig()
    assert (config.m, config.alpha, config.block_size, config.init_weights) == (2, 1.0, None, True)
    assert config.peft_type == config.peft_type.value == "CDVFT"


def test_the_file_says_what_it_needs_and_peft_reads_it_without_a_warning(tmp_path, recwarn) -> None:
    CDVFTConfig(m=3).save_pretrained(str(tmp_path))
    assert json.loads((tmp_path / "adapter_config.json").read_text())["needs"] == "import cdvft"
    assert PeftConfig.from_pretrained(str(tmp_path)).m == 3 and not recwarn.list


@pytest.mark.parametrize("name", ["default", "legal"])
def test_the_saved_card_says_what_to_import(bert, tmp_path, name: str) -> None:
    model = get_peft_model(bert.model(), CDVFTConfig(target_modules=["query"]), name)
    for _ in range(2):  # PEFT writes its tags anew each time
        model.save_pretrained(tmp_path)
        card = ModelCard.load(tmp_path / "README.md")
        assert "cdvft" in card.data.tags and card.data.library_name == "peft"
        assert card.text.count("import cdvft") == 1


def test_a_readme_that_is_no_card_of_peft_is_left_alone(tmp_path) -> None:
    readme = tmp_path / "README.md"
    for content in (b"A project.", b"# On PEFT\n\n---\n\nlibrary_name: peft\n", b"Caf\xe9"):
        readme.write_bytes(content)
        CDVFTConfig().save_pretrained(str(tmp_path / "adapter"))
        CDVFTConfig().save_pretrained(str(tmp_path))
        assert readme.read_bytes() == content


REFUSED: list[tuple[str, list[object], str, str]] = [
    ("m", [1, 0, -1, 65, 2.0, "2", True, None], "whole number of at least 2, and at most 64", "Use m=2"),
    ("alpha", [0, math.nan, -math.inf, "1", True], "finite number other than 0", "Use 1.0"),
    ("alpha", [-1e39, 10**400], "up to 3.4e+38, the largest of float32", "Use 1.0"),
    ("block_size", [0, -8, 8.0, True], "whole number of at least 1", "leave it out"),
    ("init_weights", ["gaussian", None], "True, False or one of 'zero_output', 'zero_circ", "Use True"),
    ("backend", ["cuda"], "'auto', 'fft', 'fused', 'merged', 'reference'", "Use 'auto'"),
    ("bias", ["lora_only"], "'none', 'all', 'cdvft_only'", "Use 'none'"),
    ("cdvft_dropout", [-0.1, 1.0, True, "0.1", None], "from 0 up to, not including, 1", "Use 0.0"),
    ("block_size_pattern", [["query"], 2.0], "map layer names or regular expressions", "such as"),
    ("target_modules", [3, ["query", 3]], "list of names, or a regular expression", "Put names into a list"),
    ("target_modules", ["layer.("], "that is no regular expression: missing )", "Put a backslash before"),
    ("exclude_modules", ["*"], "that is no regular expression: nothing to rep", "Put a backslash before"),
    ("target_parameters", ["experts.down_proj"], "list of names", "a single one too"),
    ("modules_to_save", ["classifier"], "list of names", "a single one too"),
    ("layers_pattern", [[3]], "list of names", "a single one too"),
    ("trainable_token_indices", [[-1], [0.5], [], {"embed": [2, -7]}], "whole numbers from 0", "Use [0, 1]"),
    ("layers_to_transform", ["0", [0.5]], "the index of a layer or a list of them", "Use [0, 1]"),
]


@pytest.mark.parametrize(("field", "values", "allowed", "remedy"), REFUSED)
def test_errors_name_the_value_what_is_allowed_and_what_to_do(field, values, allowed, remedy) -> None:
    for value in values:
        with pytest.raises(ValueError) as error:
            CDVFTConfig(**{field: value})
        assert str(error.value).startswith(f"{field} is {value!r}, but ")
        assert allowed in str(error.value) and remedy in str(error.value)


@pytest.mark.parametrize(
    ("pattern", "value"), [("m_pattern", 1), ("block_size_pattern", 0), ("alpha_pattern", 0.0)]
)
def test_errors_in_patterns_name_the_entry(pattern: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^{pattern}\['query'\] is {value!r}, but "):
        CDVFTConfig(**{pattern: {"query": value}})
    message = rf"^{pattern} has the key 'query\(', but that is no regular expression.*Put a backslash before"
    with pytest.raises(ValueError, match=message):
        CDVFTConfig(**{pattern: {"query(": 4}})
    assert CDVFTConfig(**{pattern: {r"(query|value)\(?": 4}})


@pytest.mark.parametrize(
    ("targets", "more", "message"),
    [
        (".*query", {"layers_to_transform": [0]}, "`layers_to_transform` cannot be used when"),
        (".*query", {"layers_pattern": "layer"}, "`layers_pattern` cannot be used when `target_modules` is"),
        (["query"], {"layers_pattern": "layer"}, "specified, `layers_to_transform` must also be specified"),
    ],
)
def test_targets_that_contradict_each_other(targets: object, more: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CDVFTConfig(target_modules=targets, **more)


@pytest.mark.parametrize("init_weights", [True, False, "zero_input"])
def test_a_saved_configuration_comes_back(tmp_path, init_weights) -> None:
    config = CDVFTConfig(
        m=3, alpha=0.5, block_size=16, target_modules=["query", "value"], init_weights=init_weights,
        m_pattern={"value": 4}, block_size_pattern={"query": 8}, alpha_pattern={"value": 2.0},
        bias="cdvft_only", modules_to_save=["classifier"], layers_to_transform=[0, 1], layers_pattern="layer",
        task_type="SEQ_CLS",
    )  # fmt: skip
    config.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["peft_type"] == "CDVFT"
    for cls in (CDVFTConfig, PeftConfig):
        loaded = cls.from_pretrained(tmp_path)
        assert type(loaded) is CDVFTConfig
        assert loaded.to_dict() == {**config.to_dict(), "target_modules": loaded.target_modules}
        assert set(loaded.target_modules) == {"query", "value"}
