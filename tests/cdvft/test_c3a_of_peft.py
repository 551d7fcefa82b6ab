"""What the results say of PEFT's C3A: right but for the gradient that it gives the layer's input."""

from __future__ import annotations

import pytest
import torch
from compared_methods import adapted
from torch import nn


@pytest.mark.parametrize("block_size", [4, 8])
def test_its_input_gets_another_gradient_than_its_forward_pass_has(block_size: int) -> None:
    torch.manual_seed(0)
    model = adapted("c3a", {"block_size": block_size}, {"layer": nn.Linear(16, 16)})
    layer = model.base_model.model["layer"]
    kernel, x = layer.c3a_kernel["default"], torch.randn(5, 16, requires_grad=True)
    nn.init.normal_(kernel)
    nn.init.zeros_(layer.base_layer.weight)
    found, truth = layer(x), x @ layer.get_delta_weight("default").T + layer.base_layer.bias
    torch.testing.assert_close(found, truth)
    of_output = torch.randn_like(truth)
    (of_input, of_kernel), (true_input, true_kernel) = (
        torch.autograd.grad(one, [x, kernel], of_output) for one in (found, truth)
    )
    torch.testing.assert_close(of_kernel, true_kernel)
    assert (of_input - true_input).norm() > 0.5 * true_input.norm()
