"""The closed formulas against what PEFT really builds, saves and keeps."""

from __future__ import annotations

import math

import pytest
import torch
from compared_methods import adapted
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from cdvft import cost
from cdvft.cost import tensors

SIZES = [(64, 64), (128, 64), (64, 192), (96, 160)]  # d_out, d_in
SETTINGS: list[tuple[cost.Method, dict[str, int | None]]] = [
    *[("cdvft", {}), ("cdvft", {"m": 3}), ("cdvft", {"block_size": 16})],
    ("cdvft", {"m": 4, "block_size": 20}),  # divides none of the sizes: padding
    *[("lora", {"r": 1}), ("lora", {"r": 8}), ("fourierft", {"n": 50}), ("c3a", {"block_size": 32})],
    *[("dora", {"r": 8}), ("vera", {"r": 5})],
]
ROBERTA_BASE = [cost.Shape("query", 768, 768, 12, source="x"), cost.Shape("value", 768, 768, 12, source="x")]


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


@pytest.mark.parametrize("method", ["head", "full"])
@pytest.mark.parametrize("layer", [nn.Linear(32, 64), nn.Linear(32, 64, bias=False), Conv1D(64, 32)])
def test_trained_layers_count_weights_and_biases_and_are_saved_by_their_own_names(method, layer, tmp_path):
    shape = cost.Shape("layer", 64, 32, bias=layer.bias is not None, conv1d=isinstance(layer, Conv1D))
    assert dict(tensors.dense(shape)) == {name: tuple(one.shape) for name, one in layer.named_parameters()}
    of_layer = {f"layer.{name}": one.data for name, one in layer.named_parameters()}
    save_file(of_layer, tmp_path / "kept", {"format": "pt"})
    found = cost.estimate(method, [shape], batch=1, sequence=1)
    assert found.trainable_parameters == trainable(layer)
    assert found.adapter_bytes == (tmp_path / "kept").stat().st_size


@pytest.mark.parametrize("method", ["lora", "fourierft"])
def test_counting_a_group_is_counting_its_layers(method):
    group = cost.estimate(method, [cost.Shape("layer", 64, 32, 5)], batch=2, sequence=8)
    layers = cost.estimate(method, [cost.Shape(f"layer.{i}", 64, 32) for i in range(5)], batch=2, sequence=8)
    assert group == layers


def saved_bytes(adapter, d_out, d_in, batch=2, input_gradient=True):
    """What autograd keeps of `batch` sequences of 8 besides the layer's own tensors."""
    layer = adapted(*adapter, {"layer": nn.Linear(d_in, d_out)}).get_base_model()["layer"]
    own = [*layer.parameters(), *getattr(layer, "indices", {}).values()]
    held = {tensor.untyped_storage().data_ptr() for tensor in own}
    saved: dict[int, torch.UntypedStorage] = {}  # kept, so that no address is used twice

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        layer(torch.randn(batch, 8, d_in, requires_grad=input_gradient))
    return sum(saved[address].nbytes() for address in saved.keys() - held)


@pytest.mark.parametrize(("method", "settings"), [one for one in SETTINGS if one[0] != "dora"])
@pytest.mark.parametrize("input_gradient", [True, False])
@pytest.mark.parametrize(("d_out", "d_in"), SIZES)
def test_bytes_kept_for_backward_are_those_that_autograd_saves(method, settings, d_out, d_in, input_gradient):
    shape = cost.Shape("layer", d_out, d_in, input_gradient=input_gradient)
    found = cost.estimate(method, [shape], batch=2, sequence=8, **settings)
    assert found.activation_bytes == saved_bytes((method, settings), d_out, d_in, 2, input_gradient)


@pytest.mark.parametrize(("d_out", "d_in"), SIZES)
def test_what_dora_keeps_of_each_token_is_what_autograd_saves(d_out, d_in):
    """Besides it keeps matrices of the layer's size for its norms, however many tokens there are."""
    two, three = (saved_bytes(("dora", {"r": 8}), d_out, d_in, batch) for batch in (2, 3))
    counted = [
        cost.estimate(
            "dora", [cost.Shape("layer", d_out, d_in)], batch=batch, sequence=8, r=8
        ).activation_bytes
        for batch in (2, 3)
    ]
    assert counted[1] - counted[0] == three - two


def test_layers_that_read_the_same_tensor_keep_it_once():
    for source, times in (("", 2), ("x", 1)):
        shapes = [cost.Shape(name, 64, 64, source=source) for name in ("query", "value")]
        found = cost.estimate("cdvft", shapes, batch=1, sequence=1)
        assert found.activation_bytes == times * 64 * 4


@pytest.mark.parametrize(
    ("method", "a_layer"), [("cdvft", 3 * 768), ("lora", 8 * 2 * 768), ("fourierft", 1000), ("c3a", 768)]
)
def test_settings_that_are_left_out_are_the_usual_ones(method, a_layer):
    found = cost.estimate(method, ROBERTA_BASE, batch=1, sequence=1)
    assert found.trainable_parameters == 24 * a_layer


def test_what_is_paid_once_a_step_and_what_for_every_token():
    one, many = (cost.estimate("lora", ROBERTA_BASE, batch=batch, sequence=128) for batch in (1, 64))
    assert one.forward_flops_fixed == one.backward_flops_fixed == 0
    assert one.flops_per_step * 64 == many.flops_per_step
    one, many = (cost.estimate("fourierft", ROBERTA_BASE, batch=batch, sequence=128) for batch in (1, 64))
    assert one.forward_flops_fixed == many.forward_flops_fixed
    assert one.forward_flops_fixed == pytest.approx(24 * 5 * 768**2 * 2 * math.log2(768), rel=1e-12)
    assert many.flops_per_step < 64 * one.flops_per_step


def test_what_is_trained_besides_the_layers_is_counted_and_saved():
    layers, alone = ([cost.Shape("layer", 64, 32)], {"batch": 1, "sequence": 1})
    plain = cost.estimate("full", layers, **alone)
    more = cost.estimate("full", layers, other_parameters=100, **alone)
    assert more.trainable_parameters == plain.trainable_parameters + 100 == 64 * 32 + 100
    assert more.adapter_bytes == plain.adapter_bytes + 4 * 100
    assert (more.method, plain.method) == ("full", "full") and plain.assumptions


def test_layers_saved_besides_an_adapter_are_in_its_file(tmp_path):
    net = nn.ModuleDict({"layer": nn.Linear(32, 64), "head": nn.Linear(64, 3)})
    config = LoraConfig(r=4, target_modules=["layer"], modules_to_save=["head"])
    get_peft_model(net, config).save_pretrained(tmp_path)
    layers, head = [cost.Shape("layer", 64, 32)], [cost.Shape("head", 3, 64, bias=True)]
    found = cost.estimate("lora", layers, batch=1, sequence=1, r=4, saved_besides=head)
    assert found.adapter_bytes == (tmp_path / "adapter_model.safetensors").stat().st_size
    assert found.trainable_parameters == 4 * (64 + 32)


def test_a_pooled_layer_costs_and_keeps_a_row_a_sequence():
    pooled = [cost.Shape("pooler", 64, 32, pooled=True)]
    assert cost.estimate("lora", pooled, batch=5, sequence=8, r=4).activation_bytes == 5 * 4 * (32 + 4)
    found = cost.estimate("head", pooled, batch=4, sequence=128)
    plain = cost.estimate("head", [cost.Shape("pooler", 64, 32)], batch=4, sequence=1)
    assert found.flops_per_step == plain.flops_per_step
    assert found.activation_bytes == plain.activation_bytes


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


@pytest.mark.parametrize("method", cost.METHODS)
def test_in_the_style_of_papers_backward_is_twice_forward_where_there_are_ffts(method):
    shapes = [cost.Shape("layer", 64, 64, input_gradient=False)]
    counted, papers = (
        cost.estimate(method, shapes, batch=1, sequence=8, convention=convention)
        for convention in ("real_fft", "asymptotic")
    )
    assert any("twice forward, where a method has FFTs; the others" in said for said in papers.assumptions)
    if method in ("cdvft", "fourierft", "c3a"):
        assert papers.backward_flops_per_step == 2 * papers.forward_flops_per_step
    else:
        assert papers.flops_per_step == counted.flops_per_step


@pytest.mark.parametrize(
    ("method", "changes", "sentence"),
    [
        ("lora", {"r": 0}, "r is 0, but must be a whole number of at least 1"),
        ("lora", {"r": 2.5}, "r is 2.5.*It is LoRA's rank"),
        ("dora", {"r": 0}, "r is 0.*It is DoRA's rank"),
        ("vera", {"r": 0}, "r is 0.*It is the rows of VeRA's shared A"),
        ("fourierft", {"n": 0}, "n is 0.*It is the number of FourierFT's entries a layer"),
        ("fourierft", {"n": 768**2 + 1}, "has only 589824 spectral entries"),
        ("cdvft", {"m": 1}, "m is 1"),
        ("cdvft", {"block_size": 769}, "block_size is 769"),
        ("c3a", {"block_size": 500}, "it must divide every layer's sizes, and so 768"),
        ("c3a", {"block_size": 0}, "block_size is 0.*It must divide every layer's sizes, and so 768"),
        ("hydra", {}, "method is 'hydra', but must be one of cdvft, lora"),
        ("lora", {"convention": "big_o"}, "convention is 'big_o'"),
        ("lora", {"batch": 0}, "batch is 0.*Give the sequences or images of one step"),
        ("lora", {"sequence": -1}, "sequence is -1.*Give the tokens of one sequence or image"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(method, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        cost.estimate(method, ROBERTA_BASE, **{"batch": 1, "sequence": 1, **changes})


def test_impossible_shapes_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"d_in of query is 0.*Give the layer's real size"):
        cost.Shape("query", 768, 0)
    with pytest.raises(ValueError, match="list of shapes is empty"):
        cost.estimate("lora", [], batch=1, sequence=1)
    with pytest.raises(ValueError, match="c_attn is a Conv1D layer"):
        cost.estimate("c3a", [cost.Shape("c_attn", 64, 64, conv1d=True)], batch=1, sequence=1)
