"""Frozen layers with quantized weights: adapted, trained, saved, loaded, merged with the error told.

`Rounded` stands in for the packages, so that this runs everywhere.
"""

from __future__ import annotations

import copy
import warnings
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from peft.utils.quantization_utils import ForwardOnlyQuantizationBackend, QuantizationBackend
from short_training import losses_of
from torch import Tensor, nn

from cdvft import CDVFTConfig, CDVFTLinear, quantized
from cdvft.factors import weight_updates

D = 24


class Rounded(nn.Module):
    """A linear layer, no nn.Linear, whose weight is kept in whole numbers and one scale a row."""

    def __init__(self, weight: Tensor, most: int = 127) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.most = most
        self.store(weight)

    def store(self, weight: Tensor) -> None:
        self.scale = weight.abs().amax(1, keepdim=True) / self.most
        self.qweight = nn.Parameter((weight / self.scale).round().to(torch.int8), requires_grad=False)

    def dequantized(self) -> Tensor:
        return self.qweight * self.scale

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.dequantized().T


class RoundedBackend(QuantizationBackend):
    supports_merge = True
    backend_name = "hqq"
    layer_type = "linear"

    def get_base_weight(self, base_layer: Any) -> Tensor:
        return base_layer.dequantized()

    def set_base_weight(self, peft_layer: Any, weight_data: Tensor) -> None:
        peft_layer.get_base_layer().store(weight_data)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> QuantizationBackend:
    """What PEFT answers for a `Rounded` layer."""
    one = RoundedBackend()
    real = quantized.resolve_quantization_backend

    def answer(layer: nn.Module, **more: Any) -> QuantizationBackend | None:
        return one if isinstance(layer, Rounded) else real(layer, **more)

    monkeypatch.setattr(quantized, "resolve_quantization_backend", answer)
    return one


class Net(nn.Module):
    def __init__(self, most: int = 127) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.query = Rounded(torch.randn(D, D), most)
        self.head = nn.Linear(D, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.query(x)))


def adapted(net: nn.Module | None = None, **settings: object) -> PeftModel:
    options = {"target_modules": ["query"], "init_weights": False, "alpha": 0.3, **settings}
    return get_peft_model(net or Net(), CDVFTConfig(**options))


def inputs() -> Tensor:
    return torch.randn(5, D, generator=torch.Generator().manual_seed(1))


def test_the_update_is_added_to_what_the_quantized_layer_gives(backend: QuantizationBackend) -> None:
    model = adapted()
    layer = model.base_model.model.query
    assert isinstance(layer, CDVFTLinear)
    x = inputs()
    expected = x @ (layer.base_layer.dequantized() + layer.get_delta_weight("default")).T
    torch.testing.assert_close(layer(x), expected)
    assert model.get_model_status().quantization_backend == "hqq"
    assert "hqq" in repr(model)
    (update,) = weight_updates(model)
    torch.testing.assert_close(update.weight, layer.base_layer.dequantized())
    torch.testing.assert_close(update.delta, layer.get_delta_weight("default").detach())


def test_trained_saved_and_loaded(backend: QuantizationBackend, tmp_path: Any) -> None:
    model = adapted(init_weights=True, alpha=1.0)
    frozen = model.base_model.model.query.base_layer
    before = copy.deepcopy(frozen.state_dict())
    target = torch.randint(3, (5,), generator=torch.Generator().manual_seed(2))
    losses = losses_of(model, lambda: nn.functional.cross_entropy(model(inputs()), target), steps=20, lr=0.1)
    assert losses[-1] < 0.8 * losses[0]
    torch.testing.assert_close(frozen.state_dict(), before, rtol=0, atol=0)
    model.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(Net(), tmp_path)
    torch.testing.assert_close(again(inputs()), model(inputs()))


@pytest.mark.parametrize(("most", "low", "high"), [(127, 0.001, 0.2), (7, 0.05, 1.0)])
def test_merging_says_what_rounding_did_to_the_update(backend, most, low, high) -> None:
    model = adapted(Net(most))
    layer = model.base_model.model.query
    weight, delta = layer.base_layer.dequantized(), layer.get_delta_weight("default").detach()
    with pytest.warns(UserWarning, match=r"quantized by hqq: rounding.* changed the update by") as told:
        model.merge_adapter()
    lost = (layer.base_layer.dequantized() - weight - delta).norm() / delta.norm()
    assert low < lost < high
    assert layer.merge_error == pytest.approx(lost.item(), rel=1e-4)
    sentence = next(str(w.message) for w in told if "rounding" in str(w.message))
    assert f"{lost:.1%} of its norm in the median layer and by {lost:.1%} in 'query'" in sentence
    model.unmerge_adapter()
    assert layer.merge_error is None
    step = layer.base_layer.scale.max()
    assert (layer.base_layer.dequantized() - weight).abs().max() <= 1.01 * step  # rounded twice


def test_merged_and_unloaded_tells_it_too(backend: QuantizationBackend) -> None:
    model = adapted()
    expected = model(inputs())
    with pytest.warns(UserWarning, match=r"by \d+\.\d% in 'query'"):
        plain = model.merge_and_unload()
    assert isinstance(plain.query, Rounded)
    torch.testing.assert_close(plain(inputs()), expected, atol=0.1, rtol=0.1)


def test_a_fresh_adapter_merges_without_error_and_nothing_is_told_where_nothing_is_quantized(backend) -> None:
    model = adapted(init_weights=True)
    with pytest.warns(UserWarning, match=r"by 0\.0% of its norm in the median layer"):
        model.merge_adapter()
    assert model.base_model.model.query.merge_error == 0.0
    model = adapted(nn.ModuleDict({"query": nn.Linear(D, D)}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.merge_adapter()
    assert model.base_model.model.query.merge_error is None


@pytest.mark.parametrize("name", ["gptq", "awq"])
def test_what_cannot_be_quantized_again_can_be_adapted_and_not_merged(backend, name, monkeypatch) -> None:
    """PEFT calls both of GPT-QModel's methods gptq."""
    forward_only = ForwardOnlyQuantizationBackend("gptq")
    monkeypatch.setattr(quantized, "resolve_quantization_backend", lambda *_, **__: forward_only)
    monkeypatch.setattr(quantized, "is_gptqmodel_awq_layer", lambda _: name == "awq")
    model = adapted()
    assert model.get_model_status().quantization_backend == name
    model(inputs()).sum().backward()
    sentence = rf"quantized by {name}.*merges into bnb 4bit, bnb 8bit and hqq.*Keep"
    with pytest.raises(ValueError, match=sentence):
        model.merge_adapter()


def test_a_backend_that_nobody_tried_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    untried = ForwardOnlyQuantizationBackend("eetq")
    monkeypatch.setattr(quantized, "resolve_quantization_backend", lambda *_, **__: untried)
    sentence = r"'query'.*quantized by eetq, but.*bnb 4bit, bnb 8bit, torchao, hqq"
    with pytest.raises(ValueError, match=sentence):
        adapted()


def test_weights_in_the_order_of_a_forward_pass_are_put_in_order_before_they_are_read() -> None:
    """As bitsandbytes: its first evaluation on a CPU reorders 4 bit weights, its `state_dict` undoes that."""

    class Ordered(nn.Linear):
        def _save_to_state_dict(self, *arguments: Any) -> None:
            self.weight.data = self.weight.data.flip(0)
            self.weight.quant_state.packing_format_for_cpu = False
            super()._save_to_state_dict(*arguments)

    dense = Ordered(D, D, bias=False)
    weight = dense.weight.detach().clone()
    dense.weight.data = weight.flip(0)
    dense.weight.quant_state = SimpleNamespace(packing_format_for_cpu=True)  # type: ignore[attr-defined]
    layer = adapted(nn.ModuleDict({"query": dense})).base_model.model.query
    for _ in range(2):
        torch.testing.assert_close(layer.get_base_weight(), weight)
