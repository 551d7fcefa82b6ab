"""Convolutions with 1 x 1 kernels as linear layers of the channels; others are rejected."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import Tensor, nn

from cdvft import CDVFTConfig, CDVFTConv2d

SETTINGS: dict[str, Any] = {"target_modules": ["mix"], "init_weights": False}


class Net(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.mix = nn.Conv2d(8, 12, **{"kernel_size": 1, **options})

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(x).relu()


def inputs() -> Tensor:
    return torch.randn(4, 8, 5, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("settings", [{}, {"m": 3, "block_size": 5}])
def test_conv2d_adds_the_update_as_a_convolution(settings: dict[str, Any]) -> None:
    model = get_peft_model(Net(), CDVFTConfig(**SETTINGS, **settings))
    layer, x = model.base_model.model.mix, inputs().requires_grad_()
    assert isinstance(layer, CDVFTConv2d)
    weight = layer.base_layer.weight + layer.get_delta_weight("default")
    outputs = layer(x), nn.functional.conv2d(x, weight, layer.base_layer.bias)
    torch.testing.assert_close(*outputs)
    grads = [torch.autograd.grad(y.square().sum(), x) for y in outputs]
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-4)


def test_conv2d_saves_merges_and_mixes_rows(tmp_path) -> None:
    model = get_peft_model(Net(), CDVFTConfig(**SETTINGS), "a").eval()
    model.add_adapter("b", CDVFTConfig(**SETTINGS, m=3))
    expected = {"__base__": Net()(inputs())}
    for name in ("a", "b"):
        model.set_adapter(name)
        expected[name] = model(inputs())
    rows = ["b", "a", "__base__", "b"]
    mixed = model(inputs(), adapter_names=rows)
    torch.testing.assert_close(list(mixed), [expected[name][row] for row, name in enumerate(rows)])
    model.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(Net(), tmp_path / "b")
    torch.testing.assert_close(again(inputs()), expected["b"])
    merged = again.merge_and_unload()
    assert type(merged.mix) is nn.Conv2d
    torch.testing.assert_close(merged(inputs()), expected["b"])


@pytest.mark.parametrize("options", [{"kernel_size": 3}, {"stride": 2}, {"padding": 1}, {"groups": 4}])
def test_other_convolutions_are_rejected(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"'mix'.*Conv2d"):
        get_peft_model(Net(**options), CDVFTConfig(**SETTINGS))
