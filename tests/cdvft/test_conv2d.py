"""Convolutions with 1 x 1 kernels as linear layers of the channels; others are refused."""

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


@pytest.mark.parametrize("settings", [{}, {"m": 3}, {"block_size": 5}])
def test_what_is_added_is_a_convolution_with_the_update(settings: dict[str, Any]) -> None:
    model = get_peft_model(Net(), CDVFTConfig(**SETTINGS, **settings))
    layer, x = model.base_model.model.mix, inputs().requires_grad_()
    assert isinstance(layer, CDVFTConv2d)
    weight = layer.base_layer.weight + layer.get_delta_weight("default")
    expected = nn.functional.conv2d(x, weight, layer.base_layer.bias)
    torch.testing.assert_close(layer(x), expected)
    (grad,) = torch.autograd.grad(layer(x).square().sum(), x)
    (truth,) = torch.autograd.grad(expected.square().sum(), x)
    torch.testing.assert_close(grad, truth, rtol=1e-4, atol=1e-4)


def test_saved_loaded_merged_and_by_row(tmp_path) -> None:
    model = get_peft_model(Net(), CDVFTConfig(**SETTINGS), "a").eval()
    model.add_adapter("b", CDVFTConfig(**SETTINGS, m=3))
    alone = {}
    for name in ("a", "b"):
        model.set_adapter(name)
        alone[name] = model(inputs())
    mixed = model(inputs(), adapter_names=["b", "a", "__base__", "b"])
    torch.testing.assert_close(mixed[0], alone["b"][0])
    torch.testing.assert_close(mixed[1], alone["a"][1])
    torch.testing.assert_close(mixed[2], Net()(inputs())[2])
    model.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(Net(), tmp_path / "b")
    torch.testing.assert_close(again(inputs()), alone["b"])
    merged = again.merge_and_unload()
    assert type(merged.mix) is nn.Conv2d
    torch.testing.assert_close(merged(inputs()), alone["b"])


@pytest.mark.parametrize("options", [{"kernel_size": 3}, {"stride": 2}, {"padding": 1}, {"groups": 4}])
def test_other_convolutions_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"'mix'.*Conv2d is not supported.*1 x 1 kernels, stride 1, no pad"):
        get_peft_model(Net(**options), CDVFTConfig(**SETTINGS))
