"""Which widths the fused kernels take, in which tiles, at which cost."""

from __future__ import annotations

import pytest
import torch

from cdvft.kernels import fused
from cdvft.kernels.fused.plan import SIDE, Plan, orders, plan_for, tables

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("width", "plan"),
    [
        (256, Plan(1, 16, 16, 16)),
        (512, Plan(2, 16, 16, 16)),
        (768, Plan(3, 16, 16, 16)),
        (1024, Plan(4, 16, 16, 16)),
        (1536, Plan(6, 16, 16, 16)),
        (2048, Plan(8, 16, 16, 16)),
        (4096, Plan(8, 16, 32, 32)),
    ],
)
def test_powers_of_two_and_multiples_of_256_fill_their_tiles(width: int, plan: Plan) -> None:
    assert plan_for(width) == plan
    assert plan.width == width
    assert plan.waste == 0


@pytest.mark.parametrize(("width", "waste"), [(384, 1 / 4), (640, 3 / 8), (896, 1 / 8), (1000, 131 / 256)])
def test_other_widths_are_masked_inside_larger_tiles_and_the_waste_is_said(width: int, waste: float) -> None:
    plan = plan_for(width)
    assert plan is not None
    assert plan.width == width
    assert plan.waste == pytest.approx(waste)


@pytest.mark.parametrize("width", [1021, 4100, 5120, 11008])
def test_primes_and_what_is_too_wide_are_for_other_engines(width: int) -> None:
    assert plan_for(width) is None
    assert not fused.supports_shapes([torch.empty(1, 1, width)])


def product(rows: int, inner: int, columns: int) -> int:
    return 2 * rows * inner * columns


def test_a_transform_costs_its_matrix_products() -> None:
    three, four = plan_for(768), plan_for(1024)
    assert three is not None and four is not None
    one = product(16, 16, 16)
    # a real part and one of two conjugate ones; a complex matrix times a real tile is two products
    assert three.flops == (2 + 4) * one + (4 + 4) * one
    # two real parts, and one of two conjugate ones
    assert four.flops == (2 + 2 + 4) * one + 3 * 4 * one


@pytest.mark.parametrize("width", [1, 24, 49, 256, 640, 768, 1000, 1280, 1792, 2048])
def test_tables_and_orders_transform_and_transform_back(width: int) -> None:
    plan = plan_for(width)
    assert plan is not None
    flat, at = tables(plan, CPU).double(), 0
    radix, n1, n2 = plan.radix, plan.rows, plan.columns

    def following(rows: int, columns: int) -> torch.Tensor:
        nonlocal at
        both = flat[at : at + 2 * rows * columns].view(2, rows, columns)
        at += 2 * rows * columns
        return torch.complex(both[0], both[1])

    parts = [(following(SIDE, SIDE), following(SIDE, plan.tile_columns)) for _ in range(plan.parts)]
    right = following(plan.tile_columns, plan.tile_columns)
    assert at == flat.numel()
    assert torch.equal(right, right.T)  # the inverse takes it as it is
    x = torch.randn(width, dtype=torch.float64)
    outputs = torch.fft.fft(x.view(radix, n1, n2), dim=0)
    padded = outputs.new_zeros(radix, SIDE, plan.tile_columns)
    padded[:, :n1, :n2] = outputs
    found = torch.stack(
        [(((left @ padded[s]) * twiddle) @ right).T for s, (left, twiddle) in enumerate(parts)]
    )
    half = torch.view_as_real(torch.fft.rfft(x))
    number, factor, entry, back = orders(plan, CPU)
    tiles = half.flatten()[number] * factor
    torch.testing.assert_close(torch.stack([found.real, found.imag], dim=1), tiles, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(tiles.flatten()[entry] * back, half)


def test_it_is_for_cuda_alone() -> None:
    assert not fused.supports(torch.empty(1, 256), [torch.empty(1, 1, 256)])
    assert fused.supports_shapes([torch.empty(1, 1, 256)])


def test_every_circulant_of_a_layer_has_to_fit() -> None:
    assert fused.supports_shapes([torch.empty(3, 1, 256), torch.empty(1, 1, 768)])
    assert not fused.supports_shapes([torch.empty(3, 1, 256), torch.empty(1, 1, 1021)])
