"""The fast path for few tokens without gradients: the same outputs, never stale ones."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from types import MethodType
from typing import Any

import pytest
import torch
from peft import get_peft_model
from torch import Tensor, nn

from cdvft import CDVFTConfig, CDVFTLinear
from cdvft.inference_fast_path import FastPath
from cdvft.kernels import cd_linear_reference, native

needs_kernel = pytest.mark.skipif(native.library() is None, reason="needs a C compiler")


def make(d_in: int = 48, d_out: int = 48, bias: bool = True, **settings: object) -> Any:
    torch.manual_seed(0)
    base = nn.Linear(d_in, d_out, bias=bias)
    config = CDVFTConfig(target_modules=["0"], init_weights=False, **settings)
    return get_peft_model(nn.Sequential(base), config).eval().base_model.model[0]


@torch.no_grad()
def truth(layer: CDVFTLinear, x: Tensor, adapter: str = "default") -> Tensor:
    return layer.base_layer(x) + cd_linear_reference(x, *layer.factors(adapter))


@torch.no_grad()
def check(layer: CDVFTLinear, x: Tensor) -> None:
    torch.testing.assert_close(layer(x), truth(layer, x), rtol=1e-5, atol=1e-5)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of tokens that took the fast path to its end."""
    seen: list[int] = []
    forward = FastPath.forward

    def spy(path: FastPath, layer: CDVFTLinear, x: Tensor) -> Tensor | None:
        if (y := forward(path, layer, x)) is not None:
            seen.append(x.shape[:-1].numel())
        return y

    monkeypatch.setattr(FastPath, "forward", spy)
    return seen


@needs_kernel
@pytest.mark.parametrize(
    ("leading", "d_in", "d_out", "settings"),
    [
        *[(leading, 48, 48, {}) for leading in [(), (1, 1), (2, 8)]],
        *[
            (leading, *shape)
            for leading in [(2, 2), (5,)]  # by the kernel for few tokens, and by that for many
            for shape in [
                (48, 48, {"m": 3, "alpha": -0.5}),
                (32, 96, {"m": 3}),  # a second circulant as wide as three blocks
                (96, 64, {}),
                (48, 48, {"block_size": 16}),
                (40, 100, {"block_size": 32, "m": 3}),  # cut and padded within a register
                (36, 36, {}),  # not a multiple of a register
            ]
        ],
    ],
)
def test_fast_path_matches_reference(leading, d_in: int, d_out: int, settings: dict, fast: list[int]) -> None:
    x = torch.randn(*leading, d_in)
    check(make(d_in, d_out, bias=d_out == 48, **settings), x)
    assert fast == [x.shape[:-1].numel()]


PICKED_UP: dict[str, Callable[[Any], object]] = {
    "circulant": lambda layer: layer.cdvft_circulants["default"][0].data.mul_(2),
    "diagonal": lambda layer: layer.cdvft_diagonals["default"][1].data.add_(1),
    "parameter": lambda layer: setattr(
        layer.cdvft_circulants["default"], "0", nn.Parameter(torch.randn(1, 1, 48))
    ),
    "loaded": lambda layer: layer.load_state_dict(
        {k: v + 1 for k, v in layer.state_dict().items()}, assign=True
    ),
    "alpha": lambda layer: layer.cdvft_alpha.update(default=3.0),
    "weight": lambda layer: setattr(layer.base_layer, "weight", nn.Parameter(torch.randn(48, 48))),
    "layer": lambda layer: setattr(layer, "base_layer", nn.Linear(48, 48)),
    "deeper": lambda layer: layer.update_layer("default", CDVFTConfig(m=3, init_weights=False)),
}


@needs_kernel
@pytest.mark.parametrize("change", PICKED_UP.values(), ids=PICKED_UP)
def test_fast_path_picks_up_changes(change: Callable, fast: list[int]) -> None:
    layer, x = make(), torch.randn(1, 48)
    with torch.no_grad():
        layer(x)
        change(layer)
    check(layer, x)
    assert fast == [1, 1]


def twice(base: nn.Linear, x: Tensor) -> Tensor:
    return 2 * nn.Linear.forward(base, x)


LEAVES_FAST_PATH: dict[str, Callable[[Any], object]] = {
    "disabled": lambda layer: layer.enable_adapters(False),
    "merged": lambda layer: layer.merge(),
    "dropout": lambda layer: layer.train().cdvft_dropout.update(default=0.5),
    "patched": lambda layer: setattr(layer.base_layer, "forward", MethodType(twice, layer.base_layer)),
    "hook": lambda layer: layer.base_layer.register_forward_hook(lambda _module, _x, y: 2 * y),
    "deleted": lambda layer: layer.delete_adapter("default"),
}


@needs_kernel
@pytest.mark.parametrize("change", LEAVES_FAST_PATH.values(), ids=LEAVES_FAST_PATH)
def test_unknown_changes_leave_the_fast_path(
    change: Callable, fast: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, x, outputs = make(), torch.randn(1, 48), []
    with torch.no_grad(), monkeypatch.context() as patch:
        layer(x)
        change(layer)
        for _ in range(2):
            torch.manual_seed(1)  # of the dropout
            outputs.append(layer(x))
            patch.setattr("cdvft.layer.supports_input", lambda *_: False)
    torch.testing.assert_close(*outputs)
    assert fast == [1]


@needs_kernel
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_use_their_own_vectors(copied: Callable, fast: list[int]) -> None:
    layer, x = make(), torch.randn(1, 48)
    with torch.no_grad():
        layer(x)
        other = copied(layer)
        other.cdvft_diagonals["default"][1].mul_(-1)
    check(other, x)
    check(layer, x)
    assert fast == [1, 1, 1]


GENERAL: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "gradients": lambda layer, x: layer(x),
    "many": lambda layer, x: torch.no_grad()(layer)(x.repeat(17, 1)),
    "vmap": lambda layer, x: torch.no_grad()(torch.func.vmap(layer))(x),
    "autocast": lambda layer, x: torch.no_grad()(torch.autocast("cpu", torch.bfloat16)(layer))(x),
    "by row": lambda layer, x: torch.no_grad()(layer)(x[:2], adapter_names=["default", "__base__"]),
}


@pytest.mark.parametrize("call", GENERAL.values(), ids=GENERAL)
def test_other_inputs_take_the_general_path(call: Callable, fast: list[int], monkeypatch) -> None:
    x = torch.randn(3, 48)
    found = call(make(), x)
    assert not fast
    monkeypatch.setattr("cdvft.layer.supports_input", lambda *_: False)
    torch.testing.assert_close(found, call(make(), x))
