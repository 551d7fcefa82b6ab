"""What runs, counted, against the closed formulas of `cdvft.cost`: equal to the last operation."""

from __future__ import annotations

import functools

import pytest
import torch
from flop_count import count_flops, flop_counter
from peft import C3AConfig, FourierFTConfig, LoraConfig, VeraConfig, get_peft_model
from torch import nn

from cdvft import cost
from cdvft.blocks import partitions
from cdvft.kernels import cd_linear, cd_linear_reference

BATCH, SEQUENCE = 2, 8
SIZES = [(64, 64), (128, 64), (96, 160)]  # d_out, d_in
CDVFT = [
    *((d_out, d_in, m, None) for d_out, d_in in SIZES for m in (2, 3)),
    (64, 64, 2, 16),
    (50, 70, 2, 16),  # padded both ways
    (96, 160, 3, 20),
    (7, 7, 2, None),  # odd length
    (8, 8, 2, 1),
]


def test_a_two_dimensional_fft_is_counted():
    dense = torch.zeros(768, 768, device="meta")
    assert count_flops(lambda: torch.fft.ifft2(dense)) == 56_534_409


@pytest.mark.parametrize(
    ("run", "flops"),
    [
        (torch.fft.rfft, 4 * 2.5 * 16 * 4),
        (lambda x: torch.fft.irfft(torch.fft.rfft(x), n=16), 4 * 5 * 16 * 4),
        (torch.fft.fft, 4 * 2.5 * 16 * 4),
        (lambda x: torch.fft.fft(torch.complex(x, x)), 4 * 5 * 16 * 4),
        (lambda x: x * x, 64),
        (lambda x: x * 3.0 + x, 0),  # scaling and adding are not counted
        (lambda x: torch.complex(x, x) * torch.complex(x, x), 6 * 64),
        (lambda x: torch.complex(x, x) * x, 2 * 64),
        (lambda x: x.sum(0), 64),
        (lambda x: x @ x.T, 2 * 4 * 4 * 16),
        (lambda x: torch.complex(x, x)[None] @ torch.complex(x, x).mT[None], 8 * 4 * 4 * 16),
    ],
)
def test_single_operations(run, flops):
    assert count_flops(lambda: run(torch.ones(4, 16))) == flops


def test_attention_counts_the_same_fused_and_written_out():
    q = torch.randn(1, 4, 8, 16)
    fused = count_flops(lambda: nn.functional.scaled_dot_product_attention(q, q, q))
    written = count_flops(lambda: (q @ q.mT).softmax(-1) @ q)
    assert fused == written == 2 * 2 * 4 * 8 * 8 * 16


def count(layer: nn.Module, d_out: int, d_in: int, input_gradient: bool = True) -> tuple[float, float]:
    """Forward and backward of one step."""
    x = torch.randn(BATCH, SEQUENCE, d_in, requires_grad=input_gradient)
    with flop_counter() as forward:
        out = layer(x)
    with flop_counter() as backward:
        if out.requires_grad:
            out.backward(torch.randn(BATCH, SEQUENCE, d_out))
    return forward.get_total_flops(), backward.get_total_flops()


@pytest.mark.parametrize("input_gradient", [True, False])
@pytest.mark.parametrize(("d_out", "d_in"), SIZES)
@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("lora", {"r": 4}),
        ("fourierft", {"n": 50}),
        ("c3a", {"block_size": 32}),
        ("c3a", {"block_size": 16}),
        ("dora", {"r": 4}),
        ("vera", {"r": 4}),
    ],
)
def test_peft_layers_run_what_the_formula_says(method, settings, d_out, d_in, input_gradient):
    kinds = {
        "lora": lambda: LoraConfig(r=settings["r"]),
        "dora": lambda: LoraConfig(r=settings["r"], use_dora=True),
        "vera": lambda: VeraConfig(r=settings["r"]),
        "fourierft": lambda: FourierFTConfig(n_frequency=settings["n"]),
        "c3a": lambda: C3AConfig(block_size=settings["block_size"]),
    }
    configuration = kinds[method]()
    configuration.target_modules = ["0"]
    frozen = nn.Sequential(nn.Linear(d_in, d_out)).requires_grad_(False)
    adapted = get_peft_model(nn.Sequential(nn.Linear(d_in, d_out)), configuration)
    both = (count(layer, d_out, d_in, input_gradient) for layer in (adapted, frozen))
    forward, backward = (with_adapter - without for with_adapter, without in zip(*both, strict=True))
    shape = cost.Shape("0", d_out, d_in, input_gradient=input_gradient)
    found = cost.estimate(method, [shape], batch=BATCH, sequence=SEQUENCE, **settings)
    assert round(forward) == found.forward_flops_per_step
    assert round(backward) == found.backward_flops_per_step


@pytest.mark.parametrize("bias", [True, False])
def test_a_trained_layer_runs_what_the_formula_says(bias):
    trained = nn.Linear(64, 32, bias=bias)
    frozen = nn.Linear(64, 32, bias=bias).requires_grad_(False)
    (forward, backward), (_, gradient_of_x) = count(trained, 32, 64), count(frozen, 32, 64)
    head, full = (
        cost.estimate(method, [cost.Shape("0", 32, 64, bias=bias)], batch=BATCH, sequence=SEQUENCE)
        for method in ("head", "full")
    )
    assert forward == head.forward_flops_per_step
    assert full.forward_flops_per_step == 0  # the model's own
    assert backward - gradient_of_x == head.backward_flops_per_step == full.backward_flops_per_step


by_transforms = functools.partial(cd_linear, backend="fft")


@pytest.mark.parametrize(("d_out", "d_in", "m", "block_size"), CDVFT)
@pytest.mark.parametrize("run", [by_transforms, cd_linear_reference])
def test_cdvft_forward_runs_what_the_formula_says(run, d_out, d_in, m, block_size):
    forward, _ = count(_layer(run, d_out, d_in, m, block_size), d_out, d_in)
    assert round(forward) == _estimate(d_out, d_in, m, block_size).forward_flops_per_step


@pytest.mark.parametrize("input_gradient", [True, False])
@pytest.mark.parametrize(("d_out", "d_in", "m", "block_size"), CDVFT)
def test_cdvft_backward_runs_what_the_formula_says(d_out, d_in, m, block_size, input_gradient):
    layer = _layer(by_transforms, d_out, d_in, m, block_size)
    _, backward = count(layer, d_out, d_in, input_gradient)
    found = _estimate(d_out, d_in, m, block_size, input_gradient)
    assert round(backward) == found.backward_flops_per_step


def _layer(run, d_out: int, d_in: int, m: int, block_size: int | None):
    diagonals = [torch.randn(size, requires_grad=True) for size in (d_in, *[d_out] * (m - 1))]
    circulants = [
        torch.randn(part.q1, part.q2, part.p, requires_grad=True)
        for part in partitions(d_out, d_in, m, block_size)
    ]
    return lambda x: run(x, diagonals, circulants, 2.0)


def _estimate(
    d_out: int, d_in: int, m: int, block_size: int | None, input_gradient: bool = True
) -> cost.Cost:
    shapes = [cost.Shape("layer", d_out, d_in, input_gradient=input_gradient)]
    return cost.estimate("cdvft", shapes, batch=BATCH, sequence=SEQUENCE, m=m, block_size=block_size)
