"""Which widths the fused kernels take, in which tiles, at which cost."""

from __future__ import annotations

import pytest
import torch

from cdvft.kernels import fused
from cdvft.kernels.fused.plan import Plan, plan_for


@pytest.mark.parametrize(
    ("width", "plan", "waste"),
    [
        *[(256 * radix, Plan(radix, 16, 16, 16), 0) for radix in (1, 2, 3, 4, 6, 8)],
        (4096, Plan(8, 16, 32, 32), 0),
        *[(384, Plan(2, 12, 16, 16), 1 / 4), (640, Plan(4, 10, 16, 16), 3 / 8)],
        *[(896, Plan(4, 14, 16, 16), 1 / 8), (1000, Plan(4, 10, 25, 32), 131 / 256)],
    ],
)
def test_multiples_of_256_fill_their_tiles_and_what_others_waste_is_said(width, plan, waste) -> None:
    assert plan_for(width) == plan
    assert plan.width == width
    assert plan.waste == pytest.approx(waste)


@pytest.mark.parametrize("width", [1021, 4100, 5120, 11008])
def test_primes_and_what_is_too_wide_are_for_other_engines(width: int) -> None:
    assert plan_for(width) is None
    assert not fused.supports_shapes([torch.empty(1, 1, width)])


def test_every_circulant_of_a_layer_has_to_fit_and_small_blocks_are_for_other_engines() -> None:
    assert fused.supports_shapes([torch.empty(1, 1, 256)])
    assert fused.supports_shapes([torch.empty(3, 1, 256), torch.empty(2, 2, 128)])
    assert not fused.supports_shapes([torch.empty(3, 1, 256), torch.empty(1, 1, 1021)])
    assert not fused.supports_shapes([torch.empty(2, 2, 64)])
    assert not fused.supports(torch.empty(1, 256), [torch.empty(1, 1, 256)]), "it is for CUDA alone"
