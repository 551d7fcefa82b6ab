"""The counter of FLOPs against the closed formulas of `cdvft.cost`: equal to the last operation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from compared_methods import adapted
from torch import Tensor, nn

from cdvft import cost
from cdvft.blocks import vector_shapes
from cdvft.cost.counter import flop_counter
from cdvft.kernels import cd_linear, cd_linear_reference

BATCH, SEQUENCE = 2, 8
SIZES = [(64, 64), (128, 64), (96, 160)]  # d_out, d_in
CDVFT = [
    *((d_out, d_in, m, None) for d_out, d_in in SIZES[1:] for m in (2, 3)),
    *[(64, 64, 2, 16), (96, 160, 3, 20), (8, 8, 2, 1)],
    (50, 70, 2, 16),  # padded both ways
    (7, 7, 2, None),  # odd length
]


def count(layer: Callable[[Tensor], Tensor], d_out: int, d_in: int, input_gradient: bool) -> list[int]:
    """Forward and backward of one step, on the device of the layer."""
    device = next(iter(layer.parameters())).device if isinstance(layer, nn.Module) else "cpu"
    x = torch.randn(BATCH, SEQUENCE, d_in, device=device, requires_grad=input_gradient)
    with flop_counter() as forward:
        out = layer(x)
    with flop_counter() as backward:
        if out.requires_grad:
            out.backward(torch.randn(BATCH, SEQUENCE, d_out, device=device))
    return [round(counter.get_total_flops()) for counter in (forward, backward)]


@pytest.mark.parametrize("input_gradient", [True, False])
@pytest.mark.parametrize(("d_out", "d_in"), SIZES)
@pytest.mark.parametrize(
    ("method", "settings"),
    [
        *[(method, {"r": 4}) for method in ("lora", "dora", "vera")],
        *[("fourierft", {"n": 50}), ("c3a", {"block_size": 32}), ("c3a", {"block_size": 16})],
    ],
)
def test_peft_layers_match_the_formula(method, settings, d_out, d_in, input_gradient):
    frozen = nn.Linear(d_in, d_out).requires_grad_(False)
    layer = adapted(method, settings, {"0": nn.Linear(d_in, d_out)}).get_base_model()["0"]
    both = (count(each, d_out, d_in, input_gradient) for each in (layer, frozen))
    counted = [with_adapter - without for with_adapter, without in zip(*both, strict=True)]
    shape = cost.Shape("0", d_out, d_in, input_gradient=input_gradient)
    found = cost.estimate(method, [shape], batch=BATCH, sequence=SEQUENCE, **settings)
    assert counted == [found.forward_flops_per_step, found.backward_flops_per_step]


@pytest.mark.parametrize("bias", [True, False])
def test_trained_layers_match_the_formula(bias):
    trained = nn.Linear(64, 32, bias=bias)
    frozen = nn.Linear(64, 32, bias=bias).requires_grad_(False)
    (forward, backward), (_, gradient_of_x) = (count(each, 32, 64, True) for each in (trained, frozen))
    shape = cost.Shape("0", 32, 64, bias=bias)
    head, full = (
        cost.estimate(method, [shape], batch=BATCH, sequence=SEQUENCE) for method in ("head", "full")
    )
    assert forward == head.forward_flops_per_step
    assert full.forward_flops_per_step == 0  # the model's own
    assert backward - gradient_of_x == head.backward_flops_per_step == full.backward_flops_per_step


@pytest.mark.parametrize("input_gradient", [True, False])
@pytest.mark.parametrize(("d_out", "d_in", "m", "block_size"), CDVFT)
def test_cdvft_matches_the_formula(d_out, d_in, m, block_size, input_gradient):
    diagonals, circulants = vector_shapes(d_out, d_in, m, block_size)
    vectors = [[torch.randn(size, requires_grad=True) for size in part] for part in (diagonals, circulants)]
    shape = cost.Shape("layer", d_out, d_in, input_gradient=input_gradient)
    found = cost.estimate("cdvft", [shape], batch=BATCH, sequence=SEQUENCE, m=m, block_size=block_size)
    formula = [found.forward_flops_per_step, found.backward_flops_per_step]
    assert count(lambda x: cd_linear(x, *vectors, 2.0, "fft"), d_out, d_in, input_gradient) == formula
    by_autograd = count(lambda x: cd_linear_reference(x, *vectors, 2.0), d_out, d_in, input_gradient)
    assert by_autograd[0] == formula[0]
