"""Frozen layers with quantized weights, by `Rounded`, a stub of the packages that quantize."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from peft.utils.quantization_utils import QuantizationBackend
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


def test_update_is_added_to_the_quantized_layer(backend: QuantizationBackend) -> None:
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


def test_quantized_models_train_save_and_load(backend: QuantizationBackend, tmp_path: Any) -> None:
    model = adapted(init_weights=True, alpha=1.0)
    frozen = model.base_model.model.query.base_layer
    before = copy.deepcopy(frozen.state_dict())
    target = torch.randint(3, (5,), generator=torch.Generator().manual_seed(2))
    losses = losses_of(model, lambda: nn.functional.cross_entropy(model(inputs()), target), steps=8, lr=0.1)
    assert losses[-1] < 0.9 * losses[0]
    torch.testing.assert_close(frozen.state_dict(), before, rtol=0, atol=0)
    model.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(Net(), tmp_path)
    torch.testing.assert_close(again(inputs()), model(inputs()))


@pytest.mark.parametrize(("most", "low", "high"), [(127, 0.001, 0.2), (7, 0.05, 1.0)])
def test_merge_measures_the_rounding_error(backend: Any, most: int, low: float, high: float) -> None:
    model = adapted(Net(most))
    layer = model.base_model.model.query
    weight, delta = layer.base_layer.dequantized(), layer.get_delta_weight("default").detach()
    with pytest.warns(UserWarning) as caught:
        model.merge_adapter()
    lost = (layer.base_layer.dequantized() - weight - delta).norm() / delta.norm()
    assert low < lost < high
    assert layer.merge_error == pytest.approx(lost.item())
    (message,) = [str(w.message) for w in caught if "hqq" in str(w.message)]
    assert message.count(f"{lost:.1%}") == 2 and "'query'" in message
    model.unmerge_adapter()
    assert layer.merge_error is None
    step = layer.base_layer.scale.max()
    assert (layer.base_layer.dequantized() - weight).abs().max() <= 1.01 * step  # rounded twice
