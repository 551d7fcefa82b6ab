"""Which widths the fused kernels take, in which tiles, at which cost."""

from __future__ import annotations

import pytest
import torch

from cdvft.kernels import fused
from cdvft.kernels.fused import cube_shape
from cdvft.kernels.fused.plan import ROWS, Plan, plan_for
from cdvft.kernels.fused.tables import tables


@pytest.mark.parametrize(
    ("width", "plan"),
    [
        (256, Plan(1, 16, 16, 16)),
        (512, Plan(2, 16, 16, 16)),
        (768, Plan(3, 16, 16, 16)),
        (1024, Plan(2, 16, 32, 32)),
        (1536, Plan(3, 16, 32, 32)),
        (2048, Plan(2, 16, 64, 64)),
        (3072, Plan(3, 16, 64, 64)),
        (4096, Plan(4, 16, 64, 64)),
    ],
)
def test_powers_of_two_and_three_times_these_fill_their_tiles(width: int, plan: Plan) -> None:
    assert plan_for(width) == plan
    assert plan.width == plan.entries == width
    assert plan.waste == 0


@pytest.mark.parametrize(("width", "waste"), [(384, 1 / 4), (576, 1 / 4), (896, 1 / 8), (1152, 1 / 4)])
def test_other_widths_are_masked_inside_larger_tiles_and_the_waste_is_said(width: int, waste: float) -> None:
    plan = plan_for(width)
    assert plan is not None
    assert plan.width == width
    assert plan.waste == pytest.approx(waste)


@pytest.mark.parametrize("width", [1021, 4100, 5120, 11008])
def test_primes_and_what_is_too_wide_are_for_other_engines(width: int) -> None:
    assert plan_for(width) is None
    assert not fused.supports_shapes([torch.empty(1, 1, width)])


def test_a_transform_costs_its_matrix_products() -> None:
    plan = plan_for(768)
    assert plan is not None
    # for two tokens 3 parts of two complex products of 16 x 16 x 16, each four real ones of 2 x 16^3
    assert 2 * plan.flops == 3 * 2 * 4 * 2 * 16**3


@pytest.mark.parametrize("width", [256, 640, 768])
def test_the_tables_transform(width: int) -> None:
    plan = plan_for(width)
    assert plan is not None
    flat, at = tables(plan, torch.device("cpu")).double(), 0
    assert flat.numel() == plan.table_entries
    radix, n1, n2 = plan.radix, plan.rows, plan.columns

    def following(rows: int, columns: int) -> torch.Tensor:
        nonlocal at
        both = flat[at : at + 2 * rows * columns].view(2, rows, columns)
        at += 2 * rows * columns
        return torch.complex(both[0], both[1])

    left = following(ROWS, ROWS)[:n1, :n1]
    turns = [torch.ones(n1, 1), *(following(ROWS, 1)[:n1] for _ in range(1, radix))]
    twiddle = [following(ROWS, plan.tile_columns)[:n1, :n2] for _ in range(radix)]
    right = following(plan.tile_columns, plan.tile_columns)[:n2, :n2]
    x = torch.randn(width, dtype=torch.complex128)
    outputs = torch.fft.fft(x.view(radix, n1, n2), dim=0)
    parts = [((left @ (turns[s] * outputs[s])) * twiddle[s]) @ right for s in range(radix)]
    assert torch.equal(left, left.T) and torch.equal(right, right.T)  # the inverse takes them as they are
    spectrum = torch.stack([part.T.flatten() for part in parts], dim=-1).flatten()  # R (k1 + n1 k2) + s
    torch.testing.assert_close(spectrum, torch.fft.fft(x), rtol=1e-5, atol=1e-5)


def test_the_cubes_stages_transform_in_the_order_of_its_spectra() -> None:
    flat = cube_shape.tables(torch.device("cpu")).double()
    assert flat.numel() == cube_shape.CUBE.table_entries
    sizes = [(2, 16, 16), (2, 16, 256), (2, 16, 256)]
    parts = [part.view(size) for part, size in zip(flat.split([512, 8192, 8192]), sizes, strict=True)]
    matrix, outer, inner = (torch.complex(*part) for part in parts)
    x = torch.randn(4096, dtype=torch.complex128)
    tile = matrix @ x.view(16, 256)  # rows k1, columns j2 and j3
    tile = (tile * outer).view(16, 16, 16).permute(1, 2, 0).reshape(16, 256)
    tile = ((matrix @ tile) * inner).view(16, 16, 16).permute(1, 2, 0).reshape(16, 256)
    found = (matrix @ tile).flatten()
    spectrum = torch.fft.fft(x).view(16, 16, 16)  # of frequency k1 + 16 k2 + 256 k3: k3, k2, k1
    torch.testing.assert_close(found, spectrum.transpose(1, 2).flatten(), rtol=1e-5, atol=1e-5)


def test_4096_as_one_circulant_goes_in_three_stages_for_fewer_flops_than_two() -> None:
    two = plan_for(4096)
    assert two is not None and cube_shape.shape_for(4096) == cube_shape.CUBE
    assert cube_shape.shape_for(2048) == plan_for(2048)
    assert cube_shape.CUBE.flops == 0.6 * two.flops


def test_every_warp_of_a_program_has_columns_of_its_own() -> None:
    for width in range(16, 4097, 16):
        plan = plan_for(width)
        if plan is not None:
            assert plan.warps in (4, 8)
            assert plan.group * plan.tile_columns == 8 * plan.warps > ROWS


def test_it_is_for_cuda_alone() -> None:
    assert not fused.supports(torch.empty(1, 256), [torch.empty(1, 1, 256)])
    assert fused.supports_shapes([torch.empty(1, 1, 256)])


def test_every_circulant_of_a_layer_has_to_fit() -> None:
    assert fused.supports_shapes([torch.empty(3, 1, 256), torch.empty(1, 1, 768)])
    assert not fused.supports_shapes([torch.empty(3, 1, 256), torch.empty(1, 1, 1021)])
