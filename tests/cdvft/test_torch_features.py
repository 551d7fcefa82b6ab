"""What torch offers around any layer: views, in-place steps, transforms, hooks, devices, inference mode."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import Tensor, nn
from torch.autograd import forward_ad

from cdvft import CDVFTConfig
from cdvft.kernels import cd_linear
from cdvft.kernels.cost_model import BACKENDS


def adapted(*layers: nn.Module, **settings: object) -> PeftModel:
    torch.manual_seed(0)
    config = CDVFTConfig(target_modules=["0"], init_weights=False, **settings)
    return get_peft_model(nn.Sequential(*layers), config)


def vectors(d: int, dtype: torch.dtype = torch.float32) -> tuple[list[Tensor], list[Tensor]]:
    return [torch.randn(d, dtype=dtype) for _ in range(2)], [torch.randn(1, 1, d, dtype=dtype)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_follows_may_write_into_the_output(backend: str) -> None:
    model = adapted(nn.Linear(16, 16), nn.ReLU(inplace=True), backend=backend)
    apart = adapted(nn.Linear(16, 16), nn.ReLU(), backend=backend)
    apart.load_state_dict(model.state_dict())
    x = torch.randn(5, 16)
    for each in (model, apart):
        each(x).square().sum().backward()
    torch.testing.assert_close(*([p.grad for p in each.parameters()] for each in (model, apart)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_input_of_another_width_is_refused_before_memory_is_read(dtype: torch.dtype) -> None:
    model = adapted(nn.Linear(64, 64)).to(dtype)
    with pytest.raises(ValueError, match=r"shape \(40, 1\), but the layer takes \(\.\.\., 64\)"):
        model(torch.randn(40, 1, dtype=dtype))


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("layout", [torch.jagged, torch.strided])
def test_ragged_rows_are_as_by_themselves(layout: torch.layout, grad: bool) -> None:
    model = adapted(nn.Linear(64, 64))
    rows = [torch.randn(n, 64) for n in (3, 1, 5)]
    ragged = torch.nested.nested_tensor(rows, layout=layout, requires_grad=grad)
    with torch.set_grad_enabled(grad):
        out = model(ragged)
        assert out.layout == layout
        found = out.unbind()
        torch.testing.assert_close(list(found), [model(row) for row in rows])
    if grad:
        sum(one.sum() for one in found).backward()
        assert ragged.grad is not None and model.base_model.model[0].cdvft_circulants["default"][0].grad.any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_function_transforms(backend: str) -> None:
    diagonals, circulants = vectors(12, torch.float64)
    x = torch.randn(5, 12, dtype=torch.float64)

    def loss(a: Tensor, x: Tensor, backend: str) -> Tensor:
        return cd_linear(x, [a, diagonals[1]], circulants, 0.5, backend).square().sum()

    for transform in (
        lambda way: torch.func.vmap(torch.func.grad(lambda x: loss(diagonals[0], x, way)))(x),
        lambda way: torch.func.jvp(lambda a: loss(a, x, way), (diagonals[0],), (torch.ones(12).double(),))[1],
        lambda way: torch.func.hessian(lambda a: loss(a, x, way))(diagonals[0]),
        lambda way: torch.autograd.functional.jacobian(  # maps the gradients of one output
            lambda a, x: cd_linear(x, [a, diagonals[1]], circulants, 0.5, way),
            (diagonals[0], x),
            vectorize=True,
        ),
    ):
        torch.testing.assert_close(transform(backend), transform("reference"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_forward_mode_derivatives(backend: str) -> None:
    diagonals, circulants = vectors(12, torch.float32)  # which compiled kernels take
    x, direction = torch.randn(2, 5, 12)
    with forward_ad.dual_level():
        dual = cd_linear(forward_ad.make_dual(x, direction), diagonals, circulants, 0.5, backend)
        found = forward_ad.unpack_dual(dual).tangent
    torch.testing.assert_close(found, cd_linear(direction, diagonals, circulants, 0.5))


def test_in_evaluation_a_transformer_encoder_layer_does_not_pass_its_adapters_by() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, batch_first=True)
    config = CDVFTConfig(target_modules=["linear1", "linear2"], init_weights=False)
    model, x = get_peft_model(nn.TransformerEncoder(layer, 2), config), torch.randn(2, 5, 32)
    expected = model.train()(x)
    bare = model.base_model.model
    with model.disable_adapter():
        without = model(x)
    assert (expected - without).abs().max() > 0.1
    torch.testing.assert_close(model.eval()(x), expected)
    padding = torch.tensor([[False, False, False, True, True], [False] * 5])
    with torch.no_grad():
        torch.testing.assert_close(model(x), expected)
        # With padding torch makes ragged batches of the strided layout.
        torch.testing.assert_close(model(x, src_key_padding_mask=padding)[0, :3], model(x[:1, :3])[0])
        merged = copy.deepcopy(model).merge_and_unload()
        torch.testing.assert_close(merged(x), expected)
    assert not any(module._forward_pre_hooks for module in merged.modules())
    assert any(module._forward_pre_hooks for module in bare.modules())


class Experts(nn.Module):
    """Two matrices in one parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Parameter(torch.randn(2, 6, 6))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x @ matrix.T for matrix in self.both])


def with_experts() -> PeftModel:
    return adapted(nn.Linear(6, 6), Experts(), target_parameters=["1.both"])


def merge_and_unmerge(model: Any) -> nn.Module:
    model.merge_adapter()
    model.unmerge_adapter()
    return model


def merge_and_disable(model: Any) -> nn.Module:
    model.merge_adapter()
    with model.disable_adapter():
        model(torch.randn(3, 6))
    return model


WAYS = [lambda model: model.merge_and_unload(), merge_and_unmerge, merge_and_disable]
WAYS = pytest.mark.parametrize("way", WAYS, ids=["unloaded", "unmerged", "disabled"])


@WAYS
def test_a_gradient_passes_through_weights_that_were_changed_in_inference(way: Callable[[Any], Any]) -> None:
    model, x = with_experts(), torch.randn(3, 6, requires_grad=True)
    with torch.inference_mode():
        model = way(model)
    model(x).square().sum().backward()
    assert x.grad is not None and x.grad.any()
