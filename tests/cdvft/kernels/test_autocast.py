"""Autocast on an accelerator, for which a CPU stands in: the same sums in half precision as without it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from kernel_problem import near
from operators_seen import Watch
from peft import get_peft_model
from torch import Tensor, nn

from cdvft import CDVFTConfig, layer
from cdvft.kernels import calibrate, calibration, explain, linear
from cdvft.kernels.merge_precision import MIN_RATIO

WIDTH = 64


@pytest.fixture
def cast(as_on_a_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Products are in the dtype of their inputs, which autocast, if on, makes bfloat16."""

    def asked(x: Tensor) -> torch.dtype | None:
        return torch.bfloat16 if torch.is_autocast_enabled("cpu") else None

    for module in (layer, linear, calibration):
        monkeypatch.setattr(module, "autocast_dtype", asked)


def adapted(ratio: float) -> tuple[nn.Module, Any]:
    """A linear layer of float32 and its update, |alpha dW| = ratio |W|."""
    torch.manual_seed(0)
    config = CDVFTConfig(target_modules=["0"], init_weights=False)
    model = get_peft_model(nn.Sequential(nn.Linear(WIDTH, WIDTH)), config)
    one = model.base_model.model[0]
    with torch.no_grad():
        size = one.get_delta_weight("default").norm() / one.weight.norm()
        one.cdvft_circulants["default"][0].mul_(ratio / size)
    return model, one


@pytest.mark.parametrize("ratio", [1e-3, 0.3])
def test_value_and_gradients_are_those_of_the_method(ratio: float, cast: None) -> None:
    model, _ = adapted(ratio)
    x, grad = torch.randn(9, WIDTH, requires_grad=True), torch.randn(9, WIDTH)
    with torch.autocast("cpu", torch.bfloat16):
        out = model(x)
    assert out.dtype == torch.bfloat16
    found = torch.autograd.grad(out, [x, *trained(model)], grad.bfloat16())
    assert [t.dtype for t in found] == [torch.float32] * 4
    truth = model.double()(x.double())
    wanted = torch.autograd.grad(truth, [x, *trained(model)], grad.double())
    near([out, *found], [truth, *wanted], 2e-2)


def trained(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


@pytest.mark.parametrize("backend", ["auto", "merged"])
@pytest.mark.parametrize("times", [4, 0.25])
def test_nothing_is_added_to_an_output_that_is_rounded_already(times: float, backend: str, cast) -> None:
    model, one = adapted(times * MIN_RATIO * torch.finfo(torch.bfloat16).eps)
    one.cdvft_backend["default"] = backend
    x = torch.randn(9, WIDTH)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad(), Watch() as seen:
        model(x)
    sums = [n for n, name in enumerate(seen.names) if name in ("addmm", "addmm_")]
    assert sums, "the product with the weight is added to the rest in one sum"
    assert set(seen.names[sums[-1] + 1 :]) <= {"view", "_unsafe_view"}, "nothing is added afterwards"


def test_several_adapters_add_up(cast: None) -> None:
    model, _ = adapted(0.3)
    model.add_adapter("other", CDVFTConfig(target_modules=["0"], init_weights=False))
    model.base_model.set_adapter(["default", "other"])
    x = torch.randn(9, WIDTH)
    with torch.no_grad():
        truth = model(x)
        with torch.autocast("cpu", torch.bfloat16):
            out = model(x)
    assert out.dtype == torch.bfloat16
    near([out], [truth.double()], 2e-2)


def test_what_is_timed_and_explained_is_what_autocast_makes_of_the_layers(cast: None, no_times: None) -> None:
    model, one = adapted(1e-3)
    assert {case.dtype for case in calibrate(model, 8, seconds=0)} == {"torch.float32"}
    with torch.autocast("cpu", torch.bfloat16):
        assert not explain(one, 8).measured
        assert {case.dtype for case in calibrate(model, 8, seconds=0)} == {"torch.bfloat16"}
        assert explain(one, 8).measured


@pytest.mark.parametrize("m", [2, 3])
def test_a_dense_update_keeps_float32(m: int) -> None:
    torch.manual_seed(0)
    config = CDVFTConfig(target_modules=["0"], init_weights=False, m=m)
    one: Any = get_peft_model(nn.Sequential(nn.Linear(WIDTH, WIDTH)), config).base_model.model[0]
    expected = one.get_delta_weight("default")
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(one.get_delta_weight("default"), expected)
        one.merge()
        merged = one.get_base_weight().clone()
        one.unmerge()
    torch.testing.assert_close(merged - one.get_base_weight(), expected)
