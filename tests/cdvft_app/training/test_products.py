"""Float32 products by oneDNN: the same numbers as PyTorch's own, only where those are slow."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from cdvft_app.training.kernels import convolved


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
