"""The closed formulas against what PEFT really builds, saves and keeps."""

from __future__ import annotations

import warnings
from functools import partial

import pytest
import torch
from peft import C3AConfig, FourierFTConfig, LoraConfig, PeftConfig, PeftModel, VeraConfig, get_peft_model
from safetensors.torch import save_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from cdvft import CDVFTConfig, cost
from cdvft.cost import tensors

SIZES = [(64, 64), (128, 64), (64, 192), (96, 160)]  # d_out, d_in
SETTINGS: list[tuple[cost.Method, dict[str, int | None]]] = [
    ("cdvft", {}),
    ("cdvft", {"m": 3}),
    ("cdvft", {"block_size": 16}),
    ("cdvft", {"m": 4, "block_size": 20}),  # divides none of the sizes: padding
    ("lora", {"r": 1}),
    ("lora", {"r": 8}),
    ("fourierft", {"n": 50}),
    ("c3a", {"block_size": 32}),
    ("dora", {"r": 8}),
    ("vera", {"r": 5}),
]
ROBERTA_BASE = [cost.Shape("query", 768, 768, 12, source="x"), cost.Shape("value", 768, 768, 12, source="x")]


def config(method: str, settings: dict[str, int | None], targets: list[str]) -> PeftConfig:
    """PEFT's configuration for one row of a table here."""
    names = {"r": "r", "n": "n_frequency", "m": "m", "block_size": "block_size"}
    kinds = {"cdvft": CDVFTConfig, "lora": LoraConfig, "fourierft": FourierFTConfig, "c3a": C3AConfig}
    kinds |= {"dora": partial(LoraConfig, use_dora=True), "vera": VeraConfig}
    renamed = {names[name]: value for name, value in settings.items()}
    return kinds[method](target_modules=targets, **renamed)


def adapted(method: str, settings: dict[str, int | None], layers: dict[str, nn.Module]) -> PeftModel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT notes that Conv1D stores its weight transposed
        return get_peft_model(nn.ModuleDict(layers), config(method, settings, list(layers)))


def trainable(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize(("method", "settings"), SETTINGS)
def test_parameters_and_file_are_those_of_a_real_adapter(method, settings, tmp_path):
    layers = {f"layer{i}": nn.Linear(d_in, d_out) for i, (d_out, d_in) in enumerate(SIZES)}
    shapes = [cost.Shape(f"layer{i}", d_out, d_in) for i, (d_out, d_in) in enumerate(SIZES)]
    model = adapted(method, settings, layers)
    found = cost.estimate(method, shapes, batch=1, sequence=1, **settings)
    assert found.trainable_parameters == trainable(model)
    model.save_pretrained(tmp_path)
    assert found.adapter_bytes == (tmp_path / "adapter_model.safetensors").stat().st_size
    assert found.gradient_bytes == 4 * trainable(model)
    assert found.optimizer_bytes == 8 * trainable(model)


@pytest.mark.parametrize("method", ["cdvft", "lora", "fourierft"])
def test_conv1d_counts_as_its_transpose(method):
    model = adapted(method, {}, {"c_attn": Conv1D(192, 64)})
    found = cost.estimate(method, [cost.Shape("c_attn", 192, 64, conv1d=True)], batch=1, sequence=1)
    assert found.trainable_parameters == trainable(model)


@pytest.mark.parametrize("method", ["head", "full"])
@pytest.mark.parametrize("bias", [True, False])
def test_trained_layers_count_their_weights_and_biases(method, bias):
    layer = nn.Linear(48, 32, bias=bias)
    found = cost.estimate(method, [cost.Shape("layer", 32, 48, bias=bias)], batch=1, sequence=1)
    assert found.trainable_parameters == trainable(layer)


def test_counting_a_group_is_counting_its_layers():
    group = cost.estimate("lora", [cost.Shape("layer", 64, 32, 5)], batch=2, sequence=8)
    layers = cost.estimate("lora", [cost.Shape(f"layer.{i}", 64, 32) for i in range(5)], batch=2, sequence=8)
    assert group == layers


@pytest.mark.parametrize(
    ("method", "settings"),
    [("cdvft", {"m": 3}), ("lora", {"r": 4}), ("fourierft", {"n": 50}), ("c3a", {}), ("vera", {"r": 4})],
)
@pytest.mark.parametrize("input_gradient", [True, False])
@pytest.mark.parametrize(("d_out", "d_in"), SIZES)
def test_bytes_kept_for_backward_are_those_that_autograd_saves(method, settings, d_out, d_in, input_gradient):
    shape = cost.Shape("layer", d_out, d_in, input_gradient=input_gradient)
    if method == "c3a":
        settings = {"block_size": cost.c3a_block_size([shape])}
    layer = adapted(method, settings, {"layer": nn.Linear(d_in, d_out)}).get_base_model()["layer"]
    held = {
        t.untyped_storage().data_ptr() for t in [*layer.parameters(), *getattr(layer, "indices", {}).values()]
    }
    saved: dict[int, int] = {}
    alive = []  # so that no address is used twice

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        alive.append(tensor)
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in held:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        layer(torch.randn(2, 8, d_in, requires_grad=input_gradient))
    assert cost.estimate(method, [shape], batch=2, sequence=8, **settings).activation_bytes == sum(
        saved.values()
    )


def test_layers_that_read_the_same_tensor_keep_it_once():
    apart = [cost.Shape("query", 64, 64), cost.Shape("value", 64, 64)]
    together = [cost.Shape(shape.name, 64, 64, source="x") for shape in apart]
    kept = [
        cost.estimate("cdvft", shapes, batch=1, sequence=1).activation_bytes for shapes in (apart, together)
    ]
    assert kept == [2 * 64 * 4, 64 * 4]


@pytest.mark.parametrize(
    ("method", "settings", "parameters"),
    [
        ("cdvft", {}, 55_296),
        ("cdvft", {"m": 3}, 92_160),
        ("lora", {"r": 8}, 294_912),
        ("fourierft", {"n": 1000}, 24_000),
        ("c3a", {}, 18_432),
    ],
)
def test_roberta_base_query_and_value(method, settings, parameters):
    found = cost.estimate(method, ROBERTA_BASE, batch=16, sequence=128, **settings)
    assert found.trainable_parameters == parameters


def _forward_ratio(convention: cost.Convention, tokens: int) -> float:
    fourierft, cdvft = (
        cost.estimate(method, ROBERTA_BASE, batch=1, sequence=tokens, convention=convention)
        for method in ("fourierft", "cdvft")
    )
    return fourierft.forward_flops_per_step / cdvft.forward_flops_per_step


def test_flops_against_fourierft_in_both_conventions():
    assert _forward_ratio("asymptotic", 256) == pytest.approx(51.81, abs=0.005)
    assert _forward_ratio("real_fft", 10**6) == pytest.approx(29.02, abs=0.005)


def test_what_is_paid_once_a_step_and_what_for_every_token():
    one, many = (
        {
            method: cost.estimate(method, ROBERTA_BASE, batch=batch, sequence=128)
            for method in ("lora", "fourierft")
        }
        for batch in (1, 64)
    )
    assert one["lora"].forward_flops_fixed == one["lora"].backward_flops_fixed == 0
    assert one["lora"].flops_per_step * 64 == many["lora"].flops_per_step
    build = round(24 * 5 * 768**2 * 2 * torch.log2(torch.tensor(768.0, dtype=torch.float64)).item())
    assert (
        round(one["fourierft"].forward_flops_fixed) == round(many["fourierft"].forward_flops_fixed) == build
    )
    assert many["fourierft"].flops_per_step < 64 * one["fourierft"].flops_per_step


def test_what_is_trained_besides_the_layers_is_counted_and_saved():
    layers, alone = ([cost.Shape("layer", 64, 32)], {"batch": 1, "sequence": 1})
    plain = cost.estimate("full", layers, **alone)
    more = cost.estimate("full", layers, other_parameters=100, **alone)
    assert more.trainable_parameters == plain.trainable_parameters + 100 == 64 * 32 + 100
    assert more.adapter_bytes == plain.adapter_bytes + 4 * 100
    assert (more.method, plain.method) == ("full", "full") and plain.assumptions


@pytest.mark.parametrize("method", ["head", "full"])
def test_the_file_of_trained_layers_has_their_own_names(method, tmp_path):
    layer = nn.Linear(32, 64)
    save_file(
        {"layer.weight": layer.weight.data, "layer.bias": layer.bias.data},
        tmp_path / "kept",
        {"format": "pt"},
    )
    found = cost.estimate(method, [cost.Shape("layer", 64, 32, bias=True)], batch=1, sequence=1)
    assert found.adapter_bytes == (tmp_path / "kept").stat().st_size


def test_layers_saved_besides_an_adapter_are_in_its_file(tmp_path):
    model = get_peft_model(
        nn.ModuleDict({"layer": nn.Linear(32, 64), "head": nn.Linear(64, 3)}),
        LoraConfig(r=4, target_modules=["layer"], modules_to_save=["head"]),
    )
    model.save_pretrained(tmp_path)
    found = cost.estimate(
        "lora",
        [cost.Shape("layer", 64, 32)],
        batch=1,
        sequence=1,
        r=4,
        saved_besides=[cost.Shape("head", 3, 64, bias=True)],
    )
    assert found.adapter_bytes == (tmp_path / "adapter_model.safetensors").stat().st_size
    assert found.trainable_parameters == 4 * (64 + 32)


def test_fourierft_keeps_every_dense_change_of_a_group():
    group = [cost.Shape("layer", 64, 32, count=3)]
    kept = cost.estimate("fourierft", group, batch=1, sequence=1, n=50).activation_bytes_fixed
    assert kept == 3 * 4 * 64 * 32


def test_a_pooled_layer_keeps_loras_product_once_a_sequence():
    pooled = [cost.Shape("pooler", 64, 32, pooled=True)]
    assert cost.estimate("lora", pooled, batch=5, sequence=8, r=4).activation_bytes == 5 * 4 * (32 + 4)


def test_a_pooled_layer_costs_a_row_a_sequence():
    pooled = cost.estimate("head", [cost.Shape("classifier", 2, 768, pooled=True)], batch=4, sequence=128)
    plain = cost.estimate("head", [cost.Shape("classifier", 2, 768)], batch=4, sequence=1)
    assert pooled.flops_per_step == plain.flops_per_step
    assert pooled.activation_bytes == plain.activation_bytes


@pytest.mark.parametrize(
    ("method", "settings", "fixed", "per_token"),
    [
        ("cdvft", {"block_size": 16}, 0, (8 * 4 + 8 + 4) * 16 * 4 + 64 + 128),
        ("cdvft", {"m": 3, "block_size": 16}, 0, (44 + 8 * 8 + 8 + 8) * 16 * 4 + 64 + 2 * 128),
        ("c3a", {"block_size": 32}, 0, (4 * 2 + 4 + 2) * 32 * 5),
        ("fourierft", {"n": 50}, 128 * 64 * 13, 2 * 128 * 64),
        ("lora", {"r": 4}, 0, 2 * 4 * (128 + 64)),
    ],
)
def test_the_style_of_papers_by_hand(method, settings, fixed, per_token):
    shape = cost.Shape("layer", 128, 64)
    found = cost.estimate(method, [shape], batch=1, sequence=1, convention="asymptotic", **settings)
    assert (found.forward_flops_fixed, found.forward_flops_per_token) == (fixed, per_token)
    assert (found.backward_flops_fixed, found.backward_flops_per_token) == (2 * fixed, 2 * per_token)


def test_conv1d_keeps_a_trained_weight_as_its_transpose():
    layer = Conv1D(1000, 64)  # to 1000 outputs, from 64 inputs
    shape = cost.Shape("c_attn", 1000, 64, bias=True, conv1d=True)
    names = dict(tensors.dense(shape))
    assert names == {"weight": tuple(layer.weight.shape), "bias": tuple(layer.bias.shape)}
    plain = dict(tensors.dense(cost.Shape("c_attn", 1000, 64)))
    assert plain == {"weight": tuple(nn.Linear(64, 1000).weight.shape)}


@pytest.mark.parametrize(
    ("method", "changes", "sentence"),
    [
        ("lora", {"r": 0}, "r is 0, but must be a whole number of at least 1"),
        ("lora", {"r": 2.5}, "r is 2.5"),
        ("fourierft", {"n": 0}, "n is 0"),
        ("fourierft", {"n": 768**2 + 1}, "has only 589824 spectral entries"),
        ("cdvft", {"m": 1}, "m is 1"),
        ("cdvft", {"block_size": 769}, "block_size is 769"),
        ("c3a", {"block_size": 500}, "it must divide every layer's sizes, and so 768"),
        ("c3a", {"block_size": 0}, "block_size is 0"),
        ("hydra", {}, "method is 'hydra', but must be one of cdvft, lora"),
        ("lora", {"convention": "big_o"}, "convention is 'big_o'"),
        ("lora", {"batch": 0}, "batch is 0"),
        ("lora", {"sequence": -1}, "sequence is -1"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(method, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        cost.estimate(method, ROBERTA_BASE, **{"batch": 1, "sequence": 1, **changes})


def test_impossible_shapes_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="d_in of query is 0"):
        cost.Shape("query", 768, 0)
    with pytest.raises(ValueError, match="list of shapes is empty"):
        cost.estimate("lora", [], batch=1, sequence=1)
    with pytest.raises(ValueError, match="c_attn is a Conv1D layer"):
        cost.estimate("c3a", [cost.Shape("c_attn", 64, 64, conv1d=True)], batch=1, sequence=1)
