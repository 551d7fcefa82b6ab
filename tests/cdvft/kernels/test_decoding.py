"""Few tokens without gradients take a short way through a layer: the same outputs, and never stale ones."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from peft import get_peft_model
from torch import Tensor, nn

from cdvft import CDVFTConfig, CDVFTLinear
from cdvft.kernels import cd_linear_reference, decoding, native
from cdvft.kernels.passes import Adapted

needs_kernel = pytest.mark.skipif(native.library() is None, reason="needs a C compiler")


def layer(d_in: int = 48, d_out: int = 48, bias: bool = True, **settings: object) -> CDVFTLinear:
    torch.manual_seed(0)
    base = nn.Linear(d_in, d_out, bias=bias)
    config = CDVFTConfig(target_modules=["0"], init_weights=False, **settings)
    return get_peft_model(nn.Sequential(base), config).eval().base_model.model[0]


def truth(adapted: CDVFTLinear, x: Tensor) -> Tensor:
    with torch.no_grad():
        return adapted.base_layer(x) + cd_linear_reference(x, *adapted.factors("default"))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of tokens that took the short way."""
    seen: list[int] = []
    short = decoding.decode

    def spy(x: Tensor, *others: object) -> Tensor:
        seen.append(x.shape[:-1].numel())
        return short(x, *others)

    monkeypatch.setattr("cdvft.layer.decode", spy)
    return seen


@needs_kernel
@pytest.mark.parametrize("shape", [(48,), (1, 48), (1, 1, 48), (2, 8, 48), (16, 48)])
@pytest.mark.parametrize(
    ("d_out", "settings"),
    [(48, {}), (48, {"m": 3, "alpha": -0.5}), (96, {}), (32, {"m": 3}), (48, {"block_size": 16})],
)
def test_few_tokens_give_what_the_formula_gives(
    shape: tuple[int, ...], d_out: int, settings: dict[str, object], decoded: list[int]
) -> None:
    adapted = layer(48, d_out, bias=d_out == 48, **settings)
    x = torch.randn(shape)
    with torch.no_grad():
        torch.testing.assert_close(adapted(x), truth(adapted, x), rtol=1e-5, atol=1e-5)
    assert decoded == [x.shape[:-1].numel()]


@needs_kernel
@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.cdvft_circulants["default"][0].data.mul_(2),
        lambda one: one.cdvft_diagonals["default"][1].data.add_(1),
        lambda one: one.cdvft_circulants["default"][0].data.copy_(torch.randn(1, 1, 48)),
        lambda one: setattr(one.cdvft_diagonals["default"][0], "data", torch.randn(48)),
        lambda one: setattr(one.cdvft_circulants["default"], "0", nn.Parameter(torch.randn(1, 1, 48))),
        lambda one: one.load_state_dict({k: v + 1 for k, v in one.state_dict().items()}, assign=True),
        lambda one: one.cdvft_alpha.update(default=3.0),
        lambda one: one.base_layer.weight.data.mul_(2),
        lambda one: one.update_layer("default", CDVFTConfig(m=3, init_weights=False)),
        lambda one: one.double().float(),
    ],
    ids=["data", "diagonal", "copy", "replaced", "parameter", "loaded", "alpha", "base", "deeper", "cast"],
)
def test_what_changes_after_the_first_token_counts_for_the_next(
    change: Callable[[CDVFTLinear], object], decoded: list[int]
) -> None:
    adapted, x = layer(), torch.randn(1, 48)
    with torch.no_grad():
        adapted(x)
        change(adapted)
        torch.testing.assert_close(adapted(x), truth(adapted, x), rtol=1e-5, atol=1e-5)
    assert decoded == [1, 1]


@needs_kernel
def test_a_copy_decodes_with_its_own_vectors(decoded: list[int]) -> None:
    adapted, x = layer(), torch.randn(1, 48)
    with torch.no_grad():
        adapted(x)
        other = copy.deepcopy(adapted)
        other.cdvft_diagonals["default"][1].mul_(-1)
        torch.testing.assert_close(other(x), truth(other, x), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(adapted(x), truth(adapted, x), rtol=1e-5, atol=1e-5)
    assert decoded == [1, 1, 1]


@pytest.mark.parametrize(
    "call",
    [
        lambda one, x: one(x),  # with gradients
        lambda one, x: torch.no_grad()(one)(x.repeat(17, 1)),
        lambda one, x: torch.no_grad()(one)(x.bfloat16().float().T.contiguous().T),
        lambda one, x: torch.no_grad()(one)(torch._neg_view(x)),
        lambda one, x: torch.no_grad()(torch.func.vmap(one))(x),
        lambda one, x: torch.no_grad()(one)(x[:0]),
        lambda one, x: torch.no_grad()(one.double())(x.double()),
    ],
    ids=["gradients", "many", "strided", "negated", "vmap", "none", "double"],
)
def test_other_inputs_take_the_general_way_to_the_same_result(
    call: Callable[[CDVFTLinear, Tensor], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.randn(3, 48)
    found = call(layer(), x)
    monkeypatch.setattr("cdvft.layer.can_decode", lambda *_: False)
    torch.testing.assert_close(found, call(layer(), x))


def test_without_the_compiled_kernel_the_general_way_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "library", lambda: None)
    adapted, x = layer(), torch.randn(1, 48)
    with torch.no_grad():
        torch.testing.assert_close(adapted(x), truth(adapted, x), rtol=1e-5, atol=1e-5)


def test_no_gradients_asked_none_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Autograd is not entered where neither input nor vectors train."""

    def entered(*_: object) -> Tensor:
        raise AssertionError("entered autograd")

    monkeypatch.setattr(Adapted, "apply", entered)
    adapted, x = layer(), torch.randn(40, 48)
    adapted.requires_grad_(False)
    torch.testing.assert_close(adapted(x), truth(adapted, x), rtol=1e-5, atol=1e-5)
    assert not adapted(x).requires_grad
