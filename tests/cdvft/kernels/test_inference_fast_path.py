"""Few tokens without gradients take a fast path through a layer: the same outputs, and never stale ones."""

from __future__ import annotations

import copy
import pickle
import weakref
from collections.abc import Callable, Iterator
from types import MethodType

import pytest
import torch
from peft import get_peft_model
from torch import Tensor, nn

from cdvft import CDVFTConfig, CDVFTLinear
from cdvft.inference_fast_path import FastPath
from cdvft.kernels import cd_linear_reference, native
from cdvft.kernels.autograd_ops import AdaptedLinearFunction

needs_kernel = pytest.mark.skipif(native.library() is None, reason="needs a C compiler")


def layer(d_in: int = 48, d_out: int = 48, bias: bool = True, **settings: object) -> CDVFTLinear:
    torch.manual_seed(0)
    base = nn.Linear(d_in, d_out, bias=bias)
    config = CDVFTConfig(target_modules=["0"], init_weights=False, **settings)
    return get_peft_model(nn.Sequential(base), config).eval().base_model.model[0]


@torch.no_grad()
def truth(adapted: CDVFTLinear, x: Tensor, adapter: str = "default") -> Tensor:
    return adapted.base_layer(x) + cd_linear_reference(x, *adapted.factors(adapter))


def check(adapted: CDVFTLinear, x: Tensor) -> None:
    with torch.no_grad():
        torch.testing.assert_close(adapted(x), truth(adapted, x), rtol=1e-5, atol=1e-5)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of tokens that took the fast path to its end."""
    seen: list[int] = []
    forward = FastPath.forward

    def spy(way: FastPath, adapted: CDVFTLinear, x: Tensor) -> Tensor | None:
        if (y := forward(way, adapted, x)) is not None:
            seen.append(x.shape[:-1].numel())
        return y

    monkeypatch.setattr(FastPath, "forward", spy)
    return seen


@needs_kernel
@pytest.mark.parametrize(
    ("leading", "d_in", "d_out", "settings"),
    [
        *[(leading, 48, 48, {}) for leading in [(), (1,), (1, 1), (3,), (2, 2), (2, 8), (16,)]],
        *[
            (leading, *shape)
            for leading in [(2, 2), (5,)]  # by the kernel for few tokens, and by that for many
            for shape in [
                (48, 48, {"m": 3, "alpha": -0.5}),
                (48, 96, {}),  # two rows of blocks
                (32, 96, {"m": 3}),  # three, and a second circulant as wide as they are
                (96, 64, {}),
                (48, 48, {"block_size": 16}),
                (40, 100, {"block_size": 32, "m": 3}),  # cut and padded within a register
                (36, 36, {}),  # no multiple of a register
            ]
        ],
    ],
)
def test_few_tokens_give_what_the_formula_gives(leading, d_in, d_out, settings, decoded) -> None:
    adapted = layer(d_in, d_out, bias=d_out == 48, **settings)
    x = torch.randn(*leading, d_in)
    check(adapted, x)
    assert decoded == [x.shape[:-1].numel()]


NOTED_ANEW: dict[str, Callable[[CDVFTLinear], object]] = {
    "circulant": lambda one: one.cdvft_circulants["default"][0].data.mul_(2),
    "diagonal": lambda one: one.cdvft_diagonals["default"][1].data.add_(1),
    "replaced": lambda one: setattr(one.cdvft_diagonals["default"][0], "data", torch.randn(48)),
    "parameter": lambda one: setattr(
        one.cdvft_circulants["default"], "0", nn.Parameter(torch.randn(1, 1, 48))
    ),
    "loaded": lambda one: one.load_state_dict({k: v + 1 for k, v in one.state_dict().items()}, assign=True),
    "alpha": lambda one: one.cdvft_alpha.update(default=3.0),
    "base": lambda one: one.base_layer.weight.data.mul_(2),
    "weight": lambda one: setattr(one.base_layer, "weight", nn.Parameter(torch.randn(48, 48))),
    "bias": lambda one: setattr(one.base_layer, "bias", nn.Parameter(torch.randn(48))),
    "layer": lambda one: setattr(one, "base_layer", nn.Linear(48, 48)),
    "list": lambda one: one.cdvft_diagonals.update({"default": nn.ParameterList([torch.randn(48)] * 2)}),
    "lists": lambda one: setattr(
        one, "cdvft_circulants", nn.ModuleDict({"default": nn.ParameterList([torch.randn(1, 1, 48)])})
    ),
    "moved": lambda one: setattr(one.cdvft_circulants["default"][0], "data", torch.randn(1, 1, 48)),
    "deeper": lambda one: one.update_layer("default", CDVFTConfig(m=3, init_weights=False)),
    "cast": lambda one: one.double().float(),
}


@needs_kernel
@pytest.mark.parametrize("change", NOTED_ANEW.values(), ids=NOTED_ANEW)
def test_what_changes_after_the_first_token_counts_for_the_next(change, decoded) -> None:
    adapted, x = layer(), torch.randn(1, 48)
    with torch.no_grad():
        adapted(x)
        change(adapted)
    check(adapted, x)
    assert decoded == [1, 1]


def other_adapter(one: CDVFTLinear) -> None:
    one.update_layer("other", CDVFTConfig(init_weights=False))


def twice(base: nn.Linear, x: Tensor) -> Tensor:
    return 2 * nn.Linear.forward(base, x)


@pytest.fixture
def no_global_hooks() -> Iterator[None]:
    yield
    nn.modules.module._global_forward_hooks.clear()


GOES_THE_GENERAL_WAY: dict[str, Callable[[CDVFTLinear], object]] = {
    "disabled": lambda one: one.enable_adapters(False),
    "merged": lambda one: one.merge(),
    "dropout": lambda one: one.train().cdvft_dropout.update(default=0.5),
    "both": lambda one: (other_adapter(one), one.set_adapter(["default", "other"])),
    "patched": lambda one: setattr(one.base_layer, "forward", MethodType(twice, one.base_layer)),
    "hook": lambda one: one.base_layer.register_forward_hook(lambda _module, _x, y: 2 * y),
    "pre-hook": lambda one: one.base_layer.register_forward_pre_hook(lambda _module, x: (2 * x[0],)),
    "global-hook": lambda _: nn.modules.module.register_module_forward_hook(
        lambda module, _x, y: 2 * y if type(module) is nn.Linear else None
    ),
    "backend": lambda one: one.cdvft_backend.update(default="merged"),
    "backends": lambda one: setattr(one, "cdvft_backend", {"default": "merged"}),
    "weight-norm": lambda one: nn.utils.parametrizations.weight_norm(one.base_layer),
    "deleted": lambda one: one.delete_adapter("default"),
}


@needs_kernel
@pytest.mark.parametrize("change", GOES_THE_GENERAL_WAY.values(), ids=GOES_THE_GENERAL_WAY)
def test_a_change_that_the_fast_path_does_not_know_leads_to_the_general_path(
    change: Callable[[CDVFTLinear], object], decoded: list[int], monkeypatch, no_global_hooks
) -> None:
    adapted, x = layer(), torch.randn(1, 48)
    outputs = []
    with torch.no_grad(), monkeypatch.context() as patch:
        adapted(x)
        change(adapted)
        for _ in range(2):
            torch.manual_seed(1)  # of the dropout
            outputs.append(adapted(x))
            patch.setattr("cdvft.layer.supports_input", lambda *_: False)
    torch.testing.assert_close(*outputs)
    assert decoded == [1]


@needs_kernel
def test_back_from_another_adapter_the_fast_path_is_taken_again(decoded: list[int]) -> None:
    adapted, x = layer(), torch.randn(1, 48)
    other_adapter(adapted)
    outputs = []
    with torch.no_grad():
        for name in ("default", "other", "default"):
            adapted.set_adapter(name)
            outputs.append(adapted(x))
    expected = [truth(adapted, x, name) for name in ("default", "other", "default")]
    torch.testing.assert_close(outputs, expected, rtol=1e-5, atol=1e-5)
    assert decoded == [1, 1, 1]


@needs_kernel
def test_many_tokens_leave_the_fast_path_as_it_is(decoded: list[int]) -> None:
    adapted = layer()
    with torch.no_grad():
        adapted(torch.randn(17, 48))
        assert adapted._fast_path is None
        adapted(torch.randn(1, 48))
        made = adapted._fast_path
        adapted(torch.randn(17, 48))
    assert made is not None and adapted._fast_path is made
    assert decoded == [1]


@needs_kernel
def test_a_deleted_adapter_leaves_no_vector_in_memory(decoded: list[int]) -> None:
    adapted = layer()
    check(adapted, torch.randn(1, 48))
    vectors = [weakref.ref(v.untyped_storage()) for v in adapted.cdvft_diagonals["default"].parameters()]
    adapted.delete_adapter("default")
    assert decoded == [1] and not any(kept() for kept in vectors)


@needs_kernel
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_decodes_with_its_own_vectors(copied: Callable[[CDVFTLinear], CDVFTLinear], decoded) -> None:
    adapted, x = layer(), torch.randn(1, 48)
    with torch.no_grad():
        adapted(x)
        other = copied(adapted)
        other.cdvft_diagonals["default"][1].mul_(-1)
    check(other, x)
    check(adapted, x)
    assert decoded == [1, 1, 1]


@needs_kernel
def test_a_weight_of_another_shape_is_refused() -> None:
    adapted, x = layer(), torch.randn(1, 48)
    with torch.no_grad():
        adapted(x)
        adapted.base_layer.weight.data = torch.randn(16, 48)
        adapted.base_layer.bias.data = torch.randn(16)
        with pytest.raises(ValueError, match=r"weight of shape \(16, 48\)"):
            adapted(x)


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
        lambda one, x: torch.no_grad()(torch.autocast("cpu", torch.bfloat16)(one))(x),
        lambda one, x: torch.no_grad()(one)(x[:2], adapter_names=["default", "__base__"]),
    ],
    ids=["gradients", "many", "strided", "negated", "vmap", "none", "double", "autocast", "by row"],
)
def test_other_inputs_take_the_general_way_to_the_same_result(call, decoded, monkeypatch) -> None:
    x = torch.randn(3, 48)
    found = call(layer(), x)
    assert not decoded
    monkeypatch.setattr("cdvft.layer.supports_input", lambda *_: False)
    torch.testing.assert_close(found, call(layer(), x))


def test_without_the_compiled_kernel_the_general_way_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "library", lambda: None)
    check(layer(), torch.randn(1, 48))


def test_no_gradients_asked_none_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Autograd is not entered where neither input nor vectors train."""
    monkeypatch.setattr(AdaptedLinearFunction, "apply", lambda *_: pytest.fail("entered autograd"))
    adapted, x = layer(), torch.randn(40, 48)
    adapted.requires_grad_(False)
    torch.testing.assert_close(adapted(x), truth(adapted, x), rtol=1e-5, atol=1e-5)
    assert not adapted(x).requires_grad
