"""One adapted layer: its start, its output, merging, and several adapters at once."""

import warnings

import pytest
import torch
from peft import get_peft_model
from torch import Tensor, nn
from torch.nn.utils import prune
from transformers.pytorch_utils import Conv1D

from cdvft import CDVFTConfig, CDVFTLinear
from cdvft.circulant import cd_product

IDENTITY_STARTS = [True, "zero_output", "zero_circulant", "zero_input"]


def linear(d_out: int, d_in: int) -> nn.Module:
    return nn.Linear(d_in, d_out)


def adapted(base: nn.Module, *, seed: int = 0, dtype: torch.dtype = torch.float64, **settings) -> CDVFTLinear:
    torch.manual_seed(seed)
    return CDVFTLinear(base, "default", CDVFTConfig(**{"init_weights": False, **settings})).to(dtype)


def add(layer: CDVFTLinear, name: str, **settings) -> None:
    layer.update_layer(name, CDVFTConfig(init_weights=False, **settings))
    layer.to(layer.weight.dtype)


def dense_update(layer: CDVFTLinear, adapter: str) -> Tensor:
    """alpha dW as (d_out, d_in), from the trained vectors alone."""
    diagonals, circulants, alpha = layer.factors(adapter)
    return alpha * cd_product(diagonals, circulants)


@pytest.mark.parametrize("make", [linear, Conv1D])
@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize(
    ("d_out", "d_in", "p"), [(6, 6, None), (6, 6, 3), (6, 6, 4), (9, 6, None), (4, 7, 5), (6, 6, 1)]
)
def test_forward_adds_the_dense_update(make, m: int, d_out: int, d_in: int, p: int | None) -> None:
    base = make(d_out, d_in).double()
    layer = adapted(base, m=m, alpha=0.3, block_size=p)
    x = torch.randn(2, 3, d_in, dtype=torch.float64)
    expected = base(x) + x @ dense_update(layer, "default").T
    torch.testing.assert_close(layer(x), expected)
    assert layer.get_delta_weight("default").shape == base.weight.shape
    assert (layer.in_features, layer.out_features) == (d_in, d_out)


@pytest.mark.parametrize("init_weights", IDENTITY_STARTS)
@pytest.mark.parametrize("m", [2, 3])
def test_training_starts_at_the_base_with_one_zero_factor(init_weights, m: int) -> None:
    base = linear(8, 6)
    layer = adapted(base, init_weights=init_weights, m=m, dtype=torch.float32)
    diagonals, circulants, _ = layer.factors("default")
    zero = [t for t in (*diagonals, *circulants) if torch.count_nonzero(t) == 0]
    expected = {"zero_circulant": circulants[-1], "zero_input": diagonals[0]}.get(init_weights, diagonals[-1])
    assert [t is expected for t in zero] == [True]
    x = torch.randn(5, 6)
    assert torch.equal(layer(x), base(x))

    layer(x).square().sum().backward()
    assert torch.count_nonzero(expected.grad) == expected.numel()
    assert all(torch.count_nonzero(t.grad) == 0 for t in (*diagonals, *circulants) if t is not expected)

    optimizer = torch.optim.SGD([*diagonals, *circulants], lr=0.1)
    optimizer.step()
    assert not torch.allclose(layer(x), base(x))
    optimizer.zero_grad()
    layer(x).square().sum().backward()
    assert all(torch.count_nonzero(t.grad) > 0 for t in (*diagonals, *circulants))


def test_circulants_keep_the_variance_and_a_random_start_has_no_zero_factor() -> None:
    """Entries ~ N(0, 1 / (q2 p)), so that unit-variance input gives unit-variance output."""
    for start in (True, False):
        layer = adapted(linear(512, 1024), init_weights=start, dtype=torch.float32)
        (c,) = layer.factors("default").circulants
        assert c.shape == (1, 2, 512)
        assert c.var().item() == pytest.approx(1 / 1024, rel=0.15)
    assert all(diagonal.std() > 0 for diagonal in layer.factors("default").diagonals)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_merging_into_half_precision_rounds_once(dtype: torch.dtype) -> None:
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
def test_safe_merge_refuses_what_is_not_finite_and_leaves_the_weight(broken: float) -> None:
    base = linear(4, 4)
    before = base.weight.detach().clone()
    layer = adapted(base, dtype=torch.float32)
    layer.factors("default").diagonals[0].data[1] = broken
    with pytest.raises(ValueError, match=r"NaNs detected.*adapter default .*must be finite\. Train"):
        layer.merge(safe_merge=True)
    assert torch.equal(base.weight, before)
    assert not layer.merged


@pytest.mark.parametrize(
    "make",
    [
        nn.utils.parametrizations.weight_norm,
        nn.utils.weight_norm,
        lambda base: prune.l1_unstructured(base, "weight", amount=0.5),
    ],
    ids=["parametrized", "by a hook", "pruned"],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
def test_a_weight_that_is_calculated_is_not_merged_into(make) -> None:
    base = make(linear(4, 4))
    layer, x = adapted(base), torch.randn(3, 4, dtype=torch.float64)
    before = layer(x)
    with pytest.raises(ValueError, match=r"The weight of a .*Linear is calc.*would be lost\. Make it a par"):
        layer.merge()
    assert not layer.merged and torch.equal(layer(x), before)


def test_merging_warns_of_a_layer_that_computes_by_a_forward_of_its_own() -> None:
    class Doubled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    class Named(nn.Linear):
        pass

    with pytest.warns(UserWarning, match=r"Doubled computes by a forward of its own.*compare their outputs"):
        adapted(Doubled(4, 4)).merge()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adapted(Named(4, 4)).merge()


def test_quantized_weights_are_not_merged_into() -> None:
    base = linear(4, 4)
    layer = adapted(base, dtype=torch.float32)
    base.weight = nn.Parameter(base.weight.detach().to(torch.int8), requires_grad=False)
    with pytest.raises(ValueError, match=r"stored as torch.int8.*float16, bfloat16.*Keep the adapter sep"):
        layer.merge()


@pytest.mark.parametrize("make", [linear, Conv1D])
def test_several_active_adapters_add_up_by_their_alphas_merged_and_unmerged(make) -> None:
    base = make(6, 4).double()
    before = base.weight.detach().clone()
    layer = adapted(base)
    add(layer, "b", m=3)
    add(layer, "c", block_size=3)
    x = torch.randn(4, 4, dtype=torch.float64)
    layer.set_adapter(["c", "default", "b"])
    updates = {name: dense_update(layer, name) for name in ("default", "b", "c")}
    torch.testing.assert_close(layer(x), base(x) + x @ sum(updates.values()).T)
    weights = {"default": 0.2, "b": -1.5, "c": 0.0}
    layer.cdvft_alpha.update(weights)
    expected = base(x) + x @ sum(weights[name] * update for name, update in updates.items()).T
    torch.testing.assert_close(layer(x), expected)
    layer.merge(safe_merge=True)
    assert layer.merged_adapters == ["c", "default", "b"]
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(base(x), expected)
    layer.unmerge()
    assert not layer.merged
    torch.testing.assert_close(base.weight.detach(), before)
    torch.testing.assert_close(layer(x), expected)


def test_deleting_an_adapter_leaves_no_rest() -> None:
    layer = adapted(linear(4, 4))
    names = {name for name, value in vars(layer).items() if isinstance(value, dict)} | set(layer._modules)
    before = {name: set(getattr(layer, name)) for name in names if hasattr(getattr(layer, name), "keys")}
    add(layer, "other", m=3)
    assert "other" in layer.cdvft_alpha
    layer.delete_adapter("other")
    assert {name: set(getattr(layer, name)) for name in before} == before
    with pytest.raises(ValueError, match=r"Adapter 'other' not found on this layer, which has \['default'\]"):
        layer.factors("other")


def test_disabled_adapters_leave_the_base_alone_even_when_merged() -> None:
    base = linear(4, 4).double()
    x = torch.randn(2, 4, dtype=torch.float64)
    expected = base(x)
    layer = adapted(base)
    layer.merge()
    layer.enable_adapters(False)
    torch.testing.assert_close(layer(x), expected)
    assert not layer.merged


def test_mixed_batch_errors() -> None:
    layer = adapted(linear(4, 4))
    x = torch.randn(3, 4, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"got 2 and 3 respectively\. Pass one name a row"):
        layer(x, adapter_names=["default"] * 2)
    layer.merge()
    with pytest.raises(ValueError, match=r"please call `unmerge_adapter` first\. Merged are \['default'\]"):
        layer(x, adapter_names=["default"] * 3)


NO_LINEAR = r".*%s is not supported.*name it in exclude_modules"


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("emb", NO_LINEAR % "Embedding"),
        ("attention", NO_LINEAR % "MultiheadAttention"),
        ("attention.out_proj", NO_LINEAR % "NonDynamicallyQuantizableLinear"),
        ("lin", "block_size is 7, but for a 6 x 6 layer .* from 1 to 6"),
    ],
)
def test_layers_that_are_unsupported_or_smaller_than_a_block_are_named(target: str, sentence: str) -> None:
    layers = {"lin": nn.Linear(6, 6), "emb": nn.Embedding(3, 4), "attention": nn.MultiheadAttention(4, 2)}
    with pytest.raises(ValueError, match=f"Layer '{target}': {sentence}"):
        get_peft_model(nn.ModuleDict(layers), CDVFTConfig(target_modules=[target], block_size=7))


@pytest.mark.parametrize(("make", "declared"), [(linear, True), (Conv1D, False)])
def test_a_contradicted_fan_in_fan_out_warns_and_changes_nothing(make, declared: bool) -> None:
    config = CDVFTConfig(target_modules=["0"], fan_in_fan_out=declared)
    with pytest.warns(UserWarning, match=f"fan_in_fan_out is set to {declared}"):
        model = get_peft_model(nn.Sequential(make(6, 4)), config)
    layer = model.base_model.model[0]
    assert layer.get_delta_weight("default").shape == layer.weight.shape
