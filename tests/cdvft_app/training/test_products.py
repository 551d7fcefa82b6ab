"""Float32 products by oneDNN: the same numbers as PyTorch's own, only where those are slow."""

from __future__ import annotations

import pytest
import torch
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
def test_convolved_equals_linear_with_gradients(shape, has_bias):
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
def test_frozen_product_keeps_only_the_weight(has_bias):
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
def test_onednn_is_chosen_on_amd_with_avx512(told, is_so, monkeypatch):
    if told is None:
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    assert kernels.onednn_is_faster() == (is_so and torch.backends.mkl.is_available())
    model = nn.Sequential(nn.Linear(4, 4))
    use_onednn(model)
    assert (type(model[0]) is ConvolvedLinear) == kernels.onednn_is_faster()
