"""Float32 products by oneDNN: the same numbers as PyTorch's own, only where those are slow."""

from __future__ import annotations

import copy

import pytest
import torch
from listening import run
from torch import nn
from torch.nn import functional as F

from cdvft_app.training import kernels
from cdvft_app.training.kernels import ConvolvedLinear, Frozen, convolved, use_onednn


@pytest.fixture
def faster(monkeypatch):
    """A processor where oneDNN is taken, whatever this one is."""
    monkeypatch.setattr(kernels, "onednn_is_faster", lambda: True)


@pytest.fixture
def convolutions(monkeypatch):
    """Grows by one at each convolution."""
    made = []
    conv2d = F.conv2d
    monkeypatch.setattr(F, "conv2d", lambda *args: made.append(1) or conv2d(*args))
    return made


@pytest.mark.parametrize("shape", [(3, 100, 48), (300, 48), (1, 48), (2, 5, 64, 48)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_a_convolution_of_width_1_is_the_product_with_its_gradients(shape, has_bias):
    torch.manual_seed(0)
    given = [torch.randn(shape), torch.randn(80, 48), torch.randn(80)][: 3 if has_bias else 2]
    found, right = [
        [one.detach().to(dtype).requires_grad_() for one in given] for dtype in (torch.float32, torch.float64)
    ]
    y, expected = convolved(*found), F.linear(*right)
    weighing = torch.randn(y.shape)
    gradients = torch.autograd.grad(y, found, weighing)
    expected_gradients = torch.autograd.grad(expected, right, weighing.double())
    assert y.shape == expected.shape
    for one, other in zip((y, *gradients), (expected, *expected_gradients), strict=True):
        assert (one.double() - other).norm() <= 1e-6 * other.norm()


@pytest.mark.parametrize("has_bias", [True, False])
def test_by_a_frozen_weight_it_is_the_same_and_keeps_nothing_but_the_weight(has_bias):
    torch.manual_seed(0)
    weight, bias = torch.randn(80, 48), torch.randn(80) if has_bias else None
    x = torch.randn(3, 100, 48, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda one: kept.append(one) or one, lambda one: one):
        y = Frozen.apply(x, weight, bias)
    assert [one.data_ptr() for one in kept] == [weight.data_ptr()]
    expected = F.linear(x.double(), weight.double(), None if bias is None else bias.double())
    weighing = torch.randn(y.shape)
    assert (y.double() - expected).norm() <= 1e-6 * expected.norm()
    y += 1  # as some adapters do
    (by_x,) = torch.autograd.grad(y, x, weighing)
    right = weighing.double() @ weight.double()
    assert by_x.shape == x.shape and (by_x.double() - right).norm() <= 1e-6 * right.norm()


@pytest.mark.parametrize(
    ("told", "is_so"),
    [
        ({"cpu_name": "AMD EPYC 9655", "avx512_f": True}, True),
        ({"cpu_name": "AMD Ryzen 5 5600X", "avx512_f": False}, False),
        ({"cpu_name": "Intel(R) Xeon(R) Platinum 8481C", "avx512_f": True}, False),
        ({"cpu_name": "Apple M2"}, False),
        (None, False),  # torch before 2.11
    ],
)
def test_only_amd_processors_with_avx_512_take_it(told, is_so, monkeypatch):
    if told is None:
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    assert kernels.onednn_is_faster() == (is_so and torch.backends.mkl.is_available())
    model = nn.Sequential(nn.Linear(4, 4))
    use_onednn(model)
    assert (type(model[0]) is ConvolvedLinear) == kernels.onednn_is_faster()


def test_layers_of_other_packages_stay_as_they_are_and_a_copy_is_a_layer_of_its_own(faster):
    class Rounded(nn.Linear):
        """As of a package for quantized weights."""

    class Packed(torch.Tensor):
        """A weight as of a package for quantized ones."""

    model = nn.ModuleDict({"mlp": nn.Linear(4, 4), "rounded": Rounded(4, 4), "packed": nn.Linear(4, 4)})
    model["packed"].weight = nn.Parameter(torch.ones(4, 4).as_subclass(Packed), requires_grad=False)
    keys = list(model.state_dict())
    use_onednn(model)
    assert [type(one) for one in model.values()] == [ConvolvedLinear, Rounded, nn.Linear]
    assert list(model.state_dict()) == keys
    other = copy.deepcopy(model["mlp"])
    other.weight.data.zero_()
    assert not other(torch.ones(500, 4)).equal(model["mlp"](torch.ones(500, 4)))


def frozen(entries):
    return ConvolvedLinear(4, entries // 4).requires_grad_(False)


@pytest.mark.parametrize(
    ("layer", "tokens", "is_convolved"),
    [
        (frozen(32), 64, True),
        (frozen(32), 63, False),
        (frozen(36), 256, True),
        (frozen(36), 255, False),
        (frozen(32).requires_grad_(), 256, True),
        (frozen(32).requires_grad_(), 255, False),
        (frozen(32).bfloat16(), 500, False),
    ],
)
def test_few_tokens_and_other_precisions_are_multiplied_as_ever(
    layer, tokens, is_convolved, convolutions, monkeypatch
):
    monkeypatch.setattr(kernels, "MAX_FROZEN_WEIGHT", 32)
    layer(torch.randn(tokens, 4, dtype=layer.weight.dtype))
    assert len(convolutions) == is_convolved


def test_autocast_chooses_the_precision_as_ever(convolutions):
    layer = ConvolvedLinear(8, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(500, 8)).dtype == torch.bfloat16
    assert not convolutions


@pytest.fixture(params=["answers", "texts"])
def planned(request, answer_plan, answer_rows, text_plan, text_rows):
    """`planned(method)`: the plan of a short run in float32, and its rows."""
    plan, rows = (answer_plan, answer_rows) if request.param == "answers" else (text_plan, text_rows)
    return lambda method: (plan(method, max_steps=3, precision="float32", batch_size=16), rows)


@pytest.mark.parametrize("method", ["cdvft", "lora", "full"])
def test_a_run_learns_the_same(method, planned, tmp_path, convolutions, monkeypatch):
    monkeypatch.setattr(
        kernels, "MIN_TOKENS_OTHERWISE", kernels.MIN_TOKENS
    )  # the tiny models' batches are small
    losses = []
    for is_faster in (False, True):
        monkeypatch.setattr(kernels, "onednn_is_faster", lambda is_faster=is_faster: is_faster)
        del convolutions[:]
        heard, _ = run(*planned(method), tmp_path / str(is_faster))
        assert bool(convolutions) == is_faster
        losses.append(list(heard.losses().values()))
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
