"""Each method as an object: what it changes on a real layer, its words, and the names of before."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from cdvft import cost
from cdvft_app.format import plain
from cdvft_app.methods import ADAPTERS, METHODS, Method
from cdvft_app.settings import RaceRequest, parse_race

SMALL = {"cdvft": {"m": 3, "block_size": 4, "alpha": 0.5}, "lora": {"r": 2}, "dora": {"r": 2},
         "vera": {"r": 5}, "fourierft": {"n": 7}, "c3a": {"block_size": 4}}  # fmt: skip
SHAPES = {"narrow": (8, 12), "wide": (12, 16)}  # d_out, d_in


def small(key: str, **more: Any) -> Method:
    return METHODS[key].model_validate({"method": key, **SMALL[key], **more})


def adapted(method: Method) -> nn.Module:
    torch.manual_seed(3)
    base = nn.ModuleDict({name: nn.Linear(d_in, d_out) for name, (d_out, d_in) in SHAPES.items()})
    model = get_peft_model(base, method.peft_config(target_modules=list(SHAPES)))
    for parameter in model.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter)
    return model


PATTERN = {"rank_pattern": {"narrow": 5}, "alpha": 6}
CASES = {key: small(key) for key in ADAPTERS} | {
    f"{key} with ranks of layers": small(key, **PATTERN) for key in ("lora", "dora")
}


@pytest.mark.parametrize("method", CASES.values(), ids=CASES)
def test_the_count_is_that_of_the_injected_model_to_the_last_number(method):
    shapes = [cost.Shape(name, *size) for name, size in SHAPES.items()]
    trained = sum(one.numel() for one in adapted(method).parameters() if one.requires_grad)
    assert method.estimate(shapes, batch=1, sequence=1).trainable_parameters == trained


@pytest.mark.parametrize("method", CASES.values(), ids=CASES)
def test_the_update_is_what_the_layer_adds_to_its_output(method):
    found = dict(adapted(method).named_modules())
    layers = {name.rpartition(".")[2]: one for name, one in found.items() if isinstance(one, BaseTunerLayer)}
    for name, (d_out, d_in) in SHAPES.items():
        layer: Any = layers[name]
        vectors = {vector: tensor.detach() for vector, tensor in method.vectors(layer)}
        arrays = {vector: tensor.numpy() for vector, tensor in vectors.items()}
        assert method.size(arrays) == (d_out, d_in)
        weight = layer.get_base_layer().weight.detach()
        update = method.update(d_out, d_in, vectors, lambda weight=weight: weight)
        x = torch.randn(5, d_in)
        with torch.no_grad():
            added = layer(x) - layer.get_base_layer()(x)
        torch.testing.assert_close(x @ update.T, added, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("key", ["lora", "dora"])
def test_a_layer_with_a_rank_of_its_own_is_counted_by_it(key):
    method = small(key, **PATTERN)
    ranks = [len(one) for name, one in adapted(method).named_parameters() if "lora_A" in name]
    assert sorted(ranks) == [2, 5]
    shapes = [cost.Shape(name, *size) for name, size in SHAPES.items()]
    found = method.estimate(shapes, batch=1, sequence=1)
    alone = [
        METHODS[key](r=rank, alpha=None).estimate([shape], batch=1, sequence=1)
        for shape, rank in zip(shapes, (5, 2), strict=True)
    ]
    assert found.forward_flops_per_step == sum(one.forward_flops_per_step for one in alone)
    assert found.activation_bytes == sum(one.activation_bytes for one in alone)


def test_ranks_of_layers_are_written_as_in_peft_or_as_words():
    lora = METHODS["lora"]
    as_dict = lora.model_validate({"rank_pattern": {"query": 16, "attention.value": 4}})
    assert as_dict == lora(rank_pattern=" query=16  attention.value=4 ")
    assert as_dict.peft_config().rank_pattern == {"query": 16, "attention.value": 4}
    assert as_dict.peft_config().alpha_pattern == {"query": 16, "attention.value": 4}  # alpha / r is 1
    assert "ranks = query=16" in plain(as_dict.label())
    assert as_dict.sizes() == {"r": 8, "rank_pattern": "query=16 attention.value=4"}
    assert lora(rank_pattern="") == lora() and lora().sizes() == {"r": 8}
    assert lora.model_validate_json(as_dict.model_dump_json()) == as_dict


OF_CDVFT = {"m": 4, "block_size": 2, "alpha": 2.0, "init_weights": "zero_input"}
OF_LORA = {"r": 4, "alpha": 3, "dropout": 0.5, "rank_pattern": "x=2", "loraplus_lr_ratio": 4.0}
OTHER_VALUES = {
    "cdvft": OF_CDVFT | {"input_diagonal_lr_ratio": 4.0},
    "lora": OF_LORA, "dora": OF_LORA, "fourierft": {"n": 9, "scaling": 3.0},
    "c3a": {"block_size": 2}, "vera": {"r": 4},
}  # fmt: skip


@pytest.mark.parametrize("key", ADAPTERS)
def test_each_setting_of_a_method_changes_its_adapter_or_its_learning_rates(key):
    """One that changes nothing would be offered and left out; a new one has its value in the table."""
    assert OTHER_VALUES[key].keys() == set(METHODS[key].settings())

    def trained_by(method):
        return method.peft_config(target_modules=["x"]).to_dict(), method.lr_ratios()

    for name, value in OTHER_VALUES[key].items():
        assert trained_by(small(key)) != trained_by(small(key, **{name: value})), name


@pytest.mark.parametrize("key", ["lora", "dora", "fourierft"])
def test_a_method_starts_at_the_pretrained_model(key):
    base = nn.ModuleDict({"x": nn.Linear(8, 8)})
    layer = get_peft_model(base, small(key).peft_config(target_modules=["x"])).base_model.model["x"]
    x = torch.randn(3, 8)
    torch.testing.assert_close(layer(x), layer.get_base_layer()(x), rtol=0, atol=1e-6)


# As the version before wrote them.


def test_a_race_is_a_list_of_methods_with_settings():
    race = parse_race({"methods": ["cdvft", {"method": "lora", "r": 8}, {"method": "lora", "r": 16}], "m": 3})
    assert [plain(run.method.label()) for run in race.runs()] == ["CDVFT m = 3", "LoRA r = 8", "LoRA r = 16"]
    assert RaceRequest.model_validate_json(race.model_dump_json()) == race
