"""A saved adapter in the place of a loaded one: the same parameters with other values, or a refusal."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

import cdvft
from cdvft import CDVFTConfig

SETTINGS = {"target_modules": ["query", "value"], "init_weights": False}


@pytest.fixture
def saved(bert, tmp_path) -> Any:
    """Folder of an adapter, and the outputs of a model that loads it in the ordinary way."""

    def save(config: Any) -> tuple[str, torch.Tensor]:
        torch.manual_seed(7)
        get_peft_model(bert.model(), config).save_pretrained(tmp_path / "saved")
        ordinary = PeftModel.from_pretrained(bert.model(), tmp_path / "saved").eval()
        return str(tmp_path / "saved"), bert.outputs(ordinary)

    return save


def test_outputs_are_those_of_the_saved_adapter_and_parameters_stay(bert, saved) -> None:
    pattern = {"layer.1.attention.self.value": -3.0}
    path, expected = saved(CDVFTConfig(**SETTINGS, alpha=2.5, alpha_pattern=pattern, cdvft_dropout=0.5))
    model = get_peft_model(bert.model(), CDVFTConfig(**SETTINGS, cdvft_dropout=0.25), "own").eval()
    before = {name: (id(p), p.data_ptr()) for name, p in model.named_parameters()}
    assert not torch.allclose(bert.outputs(model), expected)
    cdvft.hotswap_adapter(model, path, "own")
    torch.testing.assert_close(bert.outputs(model), expected)
    assert {name: (id(p), p.data_ptr()) for name, p in model.named_parameters()} == before
    config = model.peft_config["own"]
    assert (config.alpha, config.alpha_pattern, config.cdvft_dropout) == (2.5, pattern, 0.5)
    layers = [module for module in model.modules() if isinstance(module, cdvft.CDVFTLinear)]
    assert [layer.cdvft_dropout["own"] for layer in layers] == [0.5] * 4


def test_values_are_read_to_the_vectors_where_the_base_is_offloaded(bert, saved) -> None:
    path, expected = saved(CDVFTConfig(**SETTINGS))
    model = get_peft_model(bert.model(), CDVFTConfig(**SETTINGS)).eval()
    embedding = model.get_input_embeddings()
    offloaded = embedding.weight
    embedding.weight = torch.nn.Parameter(offloaded.to("meta"))  # what accelerate leaves in its place
    assert next(model.parameters()).is_meta
    cdvft.hotswap_adapter(model, path)
    embedding.weight = offloaded
    torch.testing.assert_close(bert.outputs(model), expected)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (CDVFTConfig(**SETTINGS, m=3), r"cdvft_\w+\.2? ?.*same layers, m and block sizes"),
        (CDVFTConfig(**SETTINGS, block_size=8), r"shape \(3, 3, 8\) there and \(1, 1, 24\) here"),
        (CDVFTConfig(init_weights=False, target_modules=["query"]), r"does not fit in 6 of 12 tensors"),
        (LoraConfig(target_modules=["query", "value"]), "is an adapter of type LORA.*model.load_adapter"),
    ],
    ids=["m", "blocks", "layers", "LoRA"],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(bert, saved, other: Any, message: str) -> None:
    path, _ = saved(other)
    model = get_peft_model(bert.model(), CDVFTConfig(**SETTINGS)).eval()
    expected = bert.outputs(model)
    with pytest.raises(ValueError, match=message):
        cdvft.hotswap_adapter(model, path)
    torch.testing.assert_close(bert.outputs(model), expected)


def test_what_is_merged_is_not_swapped_and_the_base_comes_back(bert, saved) -> None:
    path, _ = saved(CDVFTConfig(**SETTINGS))
    model = get_peft_model(bert.model(), CDVFTConfig(**SETTINGS), "a").eval()
    model.add_adapter("b", CDVFTConfig(**SETTINGS))
    model.add_weighted_adapter(["a", "b"], [0.5, 2.0], "sum")
    for active, other, what in (("a", "a", "merged"), ("sum", "b", "part of 'sum', which is merged")):
        model.set_adapter(active)
        model.merge_adapter()
        for put in (cdvft.hotswap_adapter, PeftModel.load_adapter):
            with pytest.raises(ValueError, match=rf"'{other}' is {what}\. Call model\.unmerge_adapter\(\) "):
                put(model, path, other)
        model.unmerge_adapter()
    with model.disable_adapter():
        torch.testing.assert_close(bert.outputs(model), bert.outputs(bert.model()))
    cdvft.hotswap_adapter(model, path, "b")
    sentence = r"'sum' applies others \(0\.5 x a, 2 x b\) and has no vectors to load.*delete_adapter\('sum'\)"
    for put in (cdvft.hotswap_adapter, PeftModel.load_adapter):
        with pytest.raises(ValueError, match=sentence):
            put(model, path, "sum")


def test_what_is_no_loaded_adapter_of_cdvft_is_named(bert, saved) -> None:
    path, _ = saved(CDVFTConfig(**SETTINGS))
    model = get_peft_model(bert.model(), CDVFTConfig(**SETTINGS), adapter_name="own")
    with pytest.raises(ValueError, match=r"no adapter 'default' of CDVFT to swap; loaded are \['own'\]"):
        cdvft.hotswap_adapter(model, path)
    lora = get_peft_model(bert.model(), LoraConfig(target_modules=["query", "value"]))
    with pytest.raises(ValueError, match=r"no adapter 'default' of CDVFT to swap; loaded are \[\]"):
        cdvft.hotswap_adapter(lora, path)
    with pytest.raises(ValueError, match=r"The model is a Bert\w+, but adapters are swapped in a PeftModel"):
        cdvft.hotswap_adapter(bert.model(), path)
