"""The closed formulas against what PEFT builds, saves and keeps."""

from __future__ import annotations

import pytest
import torch
from compared_methods import adapted
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from cdvft import cost
from cdvft.cost import tensors

SIZES = [(64, 64), (128, 64), (96, 160)]  # d_out, d_in
SETTINGS: list[tuple[cost.Method, dict[str, int | None]]] = [
    *[("cdvft", {}), ("cdvft", {"m": 3}), ("cdvft", {"block_size": 16})],
    ("cdvft", {"m": 4, "block_size": 20}),  # divides few of the sizes: padding
    *[("lora", {"r": 1}), ("lora", {"r": 8}), ("fourierft", {"n": 50}), ("c3a", {"block_size": 32})],
    *[("dora", {"r": 8}), ("vera", {"r": 5})],
]
ROBERTA_BASE = [cost.Shape("query", 768, 768, 12, source="x"), cost.Shape("value", 768, 768, 12, source="x")]
LAYER = [cost.Shape("layer", 64, 32)]


def trainable(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize(("method", "settings"), SETTINGS)
def test_parameters_and_bytes_match_peft(method, settings, tmp_path):
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
def test_trained_layers_count_weights_and_biases(method, layer, tmp_path):
    shape = cost.Shape("layer", 64, 32, bias=layer.bias is not None, conv1d=isinstance(layer, Conv1D))
    assert dict(tensors.dense(shape)) == {name: tuple(p.shape) for name, p in layer.named_parameters()}
    save_file(
        {f"layer.{name}": p.data for name, p in layer.named_parameters()}, tmp_path / "kept", {"format": "pt"}
    )
    found = cost.estimate(method, [shape], batch=1, sequence=1)
    assert found.trainable_parameters == trainable(layer)
    assert found.adapter_bytes == (tmp_path / "kept").stat().st_size


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


@pytest.mark.parametrize(("method", "settings"), SETTINGS)
@pytest.mark.parametrize("input_gradient", [True, False])
@pytest.mark.parametrize(("d_out", "d_in"), SIZES)
def test_activation_bytes_match_autograd(method, settings, d_out, d_in, input_gradient):
    if method == "dora":  # it also keeps matrices of the layer's size, whatever the number of tokens
        three = saved_bytes((method, settings), d_out, d_in, 3, input_gradient)
        kept = three - saved_bytes((method, settings), d_out, d_in, 2, input_gradient)
        batch, input_gradient = 1, True
    else:
        kept, batch = saved_bytes((method, settings), d_out, d_in, 2, input_gradient), 2
    shape = cost.Shape("layer", d_out, d_in, input_gradient=input_gradient)
    assert cost.estimate(method, [shape], batch=batch, sequence=8, **settings).activation_bytes == kept


@pytest.mark.parametrize(("source", "times"), [("", 2), ("x", 1)])
def test_shared_inputs_are_kept_once(source, times):
    shapes = [cost.Shape(name, 64, 64, source=source) for name in ("query", "value")]
    assert cost.estimate("cdvft", shapes, batch=1, sequence=1).activation_bytes == times * 64 * 4


def test_saved_heads_are_in_the_adapter_file(tmp_path):
    net = nn.ModuleDict({"layer": nn.Linear(32, 64), "head": nn.Linear(64, 3)})
    config = LoraConfig(r=4, target_modules=["layer"], modules_to_save=["head"])
    get_peft_model(net, config).save_pretrained(tmp_path)
    head = [cost.Shape("head", 3, 64, bias=True)]
    found = cost.estimate("lora", LAYER, batch=1, sequence=1, r=4, saved_besides=head)
    assert found.adapter_bytes == (tmp_path / "adapter_model.safetensors").stat().st_size
    assert found.trainable_parameters == 4 * (64 + 32)


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
def test_asymptotic_convention_by_hand(method, settings, fixed, per_token):
    shape = cost.Shape("layer", 128, 64)
    found = cost.estimate(method, [shape], batch=1, sequence=1, convention="asymptotic", **settings)
    assert (found.forward_flops_fixed, found.forward_flops_per_token) == (fixed, per_token)
    assert (found.backward_flops_fixed, found.backward_flops_per_token) == (2 * fixed, 2 * per_token)


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        *[("lora", {"r": 0}), ("lora", {"r": 2.5}), ("dora", {"r": 0}), ("vera", {"r": 0})],
        *[("fourierft", {"n": 0}), ("fourierft", {"n": 768**2 + 1}), ("cdvft", {"m": 1})],
        *[("cdvft", {"block_size": 769}), ("c3a", {"block_size": 500}), ("c3a", {"block_size": 0})],
        *[("lora", {"convention": "big_o"}), ("lora", {"batch": 0}), ("lora", {"sequence": -1})],
        ("hydra", {"method": "hydra"}),
    ],
)
def test_estimate_rejects_bad_settings(method, changes):
    ((name, value),) = changes.items()
    settings = {"method": method, "batch": 1, "sequence": 1, **changes}
    with pytest.raises(ValueError, match=f"{name} is {value!r}"):
        cost.estimate(shapes=ROBERTA_BASE, **settings)
