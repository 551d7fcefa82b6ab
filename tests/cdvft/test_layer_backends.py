"""The layer hands its base to the kernels where calling it means W x + b and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import MethodType

import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from cdvft import CDVFTConfig
from cdvft.kernels.cost_model import BACKENDS


def adapted(base: nn.Module, **settings: object) -> tuple[PeftModel, nn.Module]:
    config = CDVFTConfig(target_modules=["0"], init_weights=False, **settings)
    model = get_peft_model(nn.Sequential(base), config)
    return model, model.base_model.model[0]


def expected(layer: nn.Module, x: Tensor) -> Tensor:
    base = layer.base_layer
    weight = base.weight + layer.get_delta_weight("default")
    return x @ (weight if layer.weight_is_transposed else weight.T) + base.bias


@pytest.mark.parametrize("base", [lambda: nn.Linear(12, 8), lambda: Conv1D(8, 12)], ids=["linear", "conv1d"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_gives_the_same(backend: str, base: Callable[[], nn.Module]) -> None:
    model, layer = adapted(base(), backend=backend)
    assert layer.cdvft_backend == {"default": backend}
    x = torch.randn(3, 5, 12, requires_grad=True)
    variables = [x, *(p for p in model.parameters() if p.requires_grad)]
    assert len(variables) == 4
    torch.testing.assert_close(model(x), expected(layer, x))
    found = torch.autograd.grad(model(x).square().sum(), variables)
    wanted = torch.autograd.grad(expected(layer, x).square().sum(), variables)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-4)


class Doubled(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * nn.Linear.forward(self, x)


@pytest.mark.parametrize(
    "change",
    [
        lambda base: base.register_forward_hook(lambda module, args, out: 2 * out),
        lambda base: base.register_forward_pre_hook(lambda module, args: (args[0] * 2,)),
        lambda base: setattr(base, "forward", MethodType(Doubled.forward, base)),
        lambda base: setattr(base, "__class__", Doubled),
    ],
    ids=["hook", "pre-hook", "patch", "class"],
)
def test_whatever_else_calling_the_base_does_is_done(change: Callable[[nn.Linear], object]) -> None:
    model, layer = adapted(nn.Linear(12, 12, bias=False))
    x = torch.randn(5, 12)
    before = model(x)
    change(layer.base_layer)
    torch.testing.assert_close(model(x) - before, x @ layer.base_layer.weight.T)


def test_autocast_reaches_the_base_but_not_the_update() -> None:
    model, layer = adapted(nn.Linear(64, 64))
    x = torch.randn(9, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = model(x)
        base = layer.base_layer(x)
    assert out.dtype == base.dtype == torch.bfloat16
    update = x @ layer.get_delta_weight("default").T
    torch.testing.assert_close(out, (base + update).bfloat16())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("backend", BACKENDS)
def test_shapes_pass_through_on_the_meta_device(backend: str, dtype: torch.dtype) -> None:
    base = nn.Sequential(nn.Linear(24, 48, device="meta", dtype=dtype))
    model = get_peft_model(base, CDVFTConfig(target_modules=["0"], backend=backend))
    assert {p.device.type for p in model.parameters()} == {"meta"}
    out = model(torch.empty(300, 24, device="meta", dtype=dtype))
    out.sum().backward()
    assert out.shape == (300, 48) and out.is_meta
    model.merge_adapter()
    model.unmerge_adapter()


def test_an_adapter_is_loaded_with_low_cpu_mem_usage(tmp_path) -> None:
    base, x = nn.Sequential(nn.Linear(24, 48)), torch.randn(5, 24)
    model, _ = adapted(copy.deepcopy(base[0]))
    model.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(base, tmp_path, low_cpu_mem_usage=True)
    torch.testing.assert_close(again(x), model(x))
    assert not any(p.is_meta for p in again.parameters())
