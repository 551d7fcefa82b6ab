"""One adapted layer: initialization, output, merging, backends, and several adapters at once."""

from collections.abc import Callable
from types import MethodType
from typing import Any

import pytest
import torch
from peft import get_peft_model
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from cdvft import CDVFTConfig, CDVFTLinear
from cdvft.circulant import cd_product
from cdvft.kernels.cost_model import BACKENDS


def linear(d_out: int, d_in: int) -> nn.Module:
    return nn.Linear(d_in, d_out)


def adapted(base: nn.Module, *, seed: int = 0, dtype: torch.dtype = torch.float64, **settings) -> CDVFTLinear:
    torch.manual_seed(seed)
    return CDVFTLinear(base, "default", CDVFTConfig(**{"init_weights": False, **settings})).to(dtype)


def add(layer: CDVFTLinear, name: str, **settings) -> None:
    layer.update_layer(name, CDVFTConfig(init_weights=False, **settings))
    layer.to(layer.weight.dtype)


def dense_update(layer: CDVFTLinear, adapter: str = "default") -> Tensor:
    """alpha dW as (d_out, d_in), from the trained vectors alone."""
    diagonals, circulants, alpha = layer.factors(adapter)
    return alpha * cd_product(diagonals, circulants)


@pytest.mark.parametrize("make", [linear, Conv1D])
@pytest.mark.parametrize("m", [2, 3, 5])
@pytest.mark.parametrize(
    ("d_out", "d_in", "p"), [(6, 6, None), (6, 6, 4), (9, 6, None), (4, 7, 5), (6, 6, 1)]
)
def test_forward_adds_the_dense_update(make, m: int, d_out: int, d_in: int, p: int | None) -> None:
    base = make(d_out, d_in).double()
    layer = adapted(base, m=m, alpha=0.3, block_size=p)
    x = torch.randn(2, 3, d_in, dtype=torch.float64)
    torch.testing.assert_close(layer(x), base(x) + x @ dense_update(layer).T)
    assert layer.get_delta_weight("default").shape == base.weight.shape
    assert (layer.in_features, layer.out_features) == (d_in, d_out)


@pytest.mark.parametrize("make", [linear, Conv1D])
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_matches_the_dense_layer(backend: str, make: Callable) -> None:
    layer = adapted(make(8, 12), backend=backend, dtype=torch.float32)
    assert layer.cdvft_backend == {"default": backend}
    x = torch.randn(3, 5, 12, requires_grad=True)
    leaves = [x, *layer.cdvft_diagonals.parameters(), *layer.cdvft_circulants.parameters()]
    outputs = layer(x), layer.base_layer(x) + x @ dense_update(layer).T
    torch.testing.assert_close(*outputs)
    found, expected = (torch.autograd.grad(y.square().sum(), leaves) for y in outputs)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)


class Doubled(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * nn.Linear.forward(self, x)


CHANGES: dict[str, Callable[[Any], object]] = {
    "hook": lambda base: base.register_forward_hook(lambda module, args, out: 2 * out),
    "pre-hook": lambda base: base.register_forward_pre_hook(lambda module, args: (args[0] * 2,)),
    "patch": lambda base: setattr(base, "forward", MethodType(Doubled.forward, base)),
    "class": lambda base: setattr(base, "__class__", Doubled),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_base_layers_are_called(change: Callable) -> None:
    layer, x = adapted(nn.Linear(12, 12, bias=False), dtype=torch.float32), torch.randn(5, 12)
    before = layer(x)
    change(layer.base_layer)
    torch.testing.assert_close(layer(x) - before, x @ layer.base_layer.weight.T)


@pytest.mark.parametrize("init_weights", [True, "zero_output", "zero_circulant", "zero_input"])
@pytest.mark.parametrize("m", [2, 3])
def test_initialization_zeros_one_factor(init_weights, m: int) -> None:
    base, x = linear(8, 6), torch.randn(5, 6)
    layer = adapted(base, init_weights=init_weights, m=m, dtype=torch.float32)
    diagonals, circulants, _ = layer.factors("default")
    vectors = [*diagonals, *circulants]
    zero = {"zero_circulant": circulants[-1], "zero_input": diagonals[0]}.get(init_weights, diagonals[-1])
    assert [t for t in vectors if not t.any()] == [zero]
    assert torch.equal(layer(x), base(x))
    optimizer = torch.optim.SGD(vectors, lr=0.1)
    for step in (1, 2):  # first only the zero factor has a gradient, then all have
        optimizer.zero_grad()
        layer(x).square().sum().backward()
        assert all(bool(t.grad.any()) == (step == 2 or t is zero) for t in vectors)
        optimizer.step()
        assert not torch.allclose(layer(x), base(x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_merge_rounds_half_precision_once(dtype: torch.dtype) -> None:
    base = linear(16, 16).to(dtype)
    weight = base.weight.detach().clone()
    layer = CDVFTLinear(base, "default", CDVFTConfig(init_weights=False))
    layer.update_layer("other", CDVFTConfig(init_weights=False))
    layer.set_adapter(["default", "other"])
    exact = weight.double() + sum(dense_update(layer, name).double() for name in ("default", "other"))
    layer.merge()
    assert base.weight.dtype == dtype
    assert torch.equal(base.weight, exact.float().to(dtype))


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_safe_merge_rejects_infinite_weights(broken: float) -> None:
    base = linear(4, 4)
    before = base.weight.detach().clone()
    layer = adapted(base, dtype=torch.float32)
    layer.factors("default").diagonals[0].data[1] = broken
    with pytest.raises(ValueError, match="adapter default"):
        layer.merge(safe_merge=True)
    assert torch.equal(base.weight, before)
    assert not layer.merged


@pytest.mark.parametrize("make", [linear, Conv1D])
def test_active_adapters_add_up_merged_and_unmerged(make) -> None:
    base = make(6, 4).double()
    before = base.weight.detach().clone()
    layer = adapted(base)
    add(layer, "b", m=3)
    add(layer, "c", block_size=3)
    x = torch.randn(4, 4, dtype=torch.float64)
    layer.set_adapter(["c", "default", "b"])
    layer.cdvft_alpha.update({"default": 0.2, "b": -1.5, "c": 0.0})
    expected = base(x) + x @ sum(dense_update(layer, name) for name in ("default", "b", "c")).T
    torch.testing.assert_close(layer(x), expected)
    layer.merge(safe_merge=True)
    assert layer.merged_adapters == ["c", "default", "b"]
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(base(x), expected)
    layer.unmerge()
    assert not layer.merged
    torch.testing.assert_close(base.weight.detach(), before)
    torch.testing.assert_close(layer(x), expected)


def test_delete_adapter_leaves_nothing() -> None:
    layer = adapted(linear(4, 4))
    names = {name for name, value in vars(layer).items() if isinstance(value, dict)} | set(layer._modules)
    before = {name: set(getattr(layer, name)) for name in names if hasattr(getattr(layer, name), "keys")}
    add(layer, "other", m=3)
    assert "other" in layer.cdvft_alpha
    layer.delete_adapter("other")
    assert {name: set(getattr(layer, name)) for name in before} == before
    with pytest.raises(ValueError, match=r"'other' .*\['default'\]"):
        layer.factors("other")


def test_disabled_adapters_unmerge() -> None:
    base = linear(4, 4).double()
    x = torch.randn(2, 4, dtype=torch.float64)
    expected = base(x)
    layer = adapted(base)
    layer.merge()
    layer.enable_adapters(False)
    torch.testing.assert_close(layer(x), expected)
    assert not layer.merged
    assert torch.equal(layer(x, adapter_names=["default"] * 2), base(x))


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("emb", "Embedding"),
        ("attention", "MultiheadAttention"),
        ("attention.out_proj", "NonDynamicallyQuantizableLinear"),
        ("lin", "block_size is 7.* 6 x 6 "),
    ],
)
def test_unsupported_layers_are_named(target: str, name: str) -> None:
    layers = {"lin": nn.Linear(6, 6), "emb": nn.Embedding(3, 4), "attention": nn.MultiheadAttention(4, 2)}
    with pytest.raises(ValueError, match=f"'{target}'.*{name}"):
        get_peft_model(nn.ModuleDict(layers), CDVFTConfig(target_modules=[target], block_size=7))
