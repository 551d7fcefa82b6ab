"""The estimates for GPUs count what the kernel moves and multiplies, and say what they are."""

from __future__ import annotations

import pytest

from benchmarks.roofline import DEVICES, RESULT, frozen_seconds, markdown, merged_seconds, passes
from cdvft.kernels.fused.cube_shape import CUBE
from cdvft.kernels.fused.plan import plan_for

(H100,) = (device for device in DEVICES if device.name == "H100")


def test_forward_and_backward_transform_twice_and_four_times() -> None:
    plan = plan_for(768)
    assert plan is not None
    forward, backward = passes(plan, 1000, H100)
    one = 1000 * 4 * 768 * (16 + 16)  # three parts, in each 8 x 16 x 16 x (16 + 16) for two tokens
    assert (forward.flops, backward.flops) == (2 * one, 4 * one)


def test_gradients_in_two_passes_cost_a_fifth_transform_and_read_twice() -> None:
    plan = plan_for(3584)
    assert plan is not None and plan.split
    forward, backward = passes(plan, 8192, H100)
    assert backward.flops == 2.5 * forward.flops
    assert backward.bytes > 6 * 2 * 8192 * 3584


def test_three_stages_at_4096_take_three_passes_backward_of_two_transforms_each() -> None:
    forward, backward = passes(CUBE, 1000, H100)
    stage = 4 * 2 * 16 * 16 * 256  # four real products of 16 x 16 by 16 x 256, for two tokens
    assert forward.flops == 500 * 2 * 3 * stage
    assert backward.flops == 500 * 6 * 3 * stage
    x = 2 * 1000 * 4096
    programs = 132
    constants = 4 * (2 * (256 + 2 * 4096) + 2 * 4096 + 2 * 4096) * programs
    assert forward.bytes == 3 * x + constants
    assert backward.bytes == 8 * x + 3 * constants + 2 * 4 * 4 * 4096 * programs


@pytest.mark.parametrize("tokens", [2, 8192, 1 << 20])
def test_bytes_are_those_of_the_data_and_what_each_program_needs_beside_it(tokens: int) -> None:
    plan = plan_for(768)
    assert plan is not None
    forward, backward = passes(plan, tokens, H100)
    x = 2 * tokens * 768
    programs = min(-(-tokens // 4), 132 * 2)  # of four tokens a group, two on a multiprocessor
    matrices, turns, twiddles = 2 * 16 * 16, 2 * 16, 3 * 16 * 16
    tables = 4 * (2 * (matrices + turns + twiddles) + 2 * 768 + 2 * 768) * programs
    assert forward.bytes == 3 * x + tables
    assert backward.bytes == 4 * x + tables + 2 * 4 * 4 * 768 * programs


def test_the_frozen_layer_takes_what_its_products_take() -> None:
    assert frozen_seconds(768, 8192, H100) == pytest.approx(2 * 2 * 8192 * 768**2 / 600e12)


def test_merged_is_one_product_more_and_the_matrices_it_makes() -> None:
    entries = 768**2
    product = 2 * 8192 * entries / 600e12
    assert merged_seconds(768, 8192, H100) == pytest.approx(product + 11.1 * entries / (0.85 * 3.35e12))
    few = merged_seconds(768, 16, H100) * 0.85 * 3.35e12
    assert few == pytest.approx(11.1 * entries + 2 * (2 * 16 * 768 + entries)), "memory limits small batches"


def test_the_record_is_what_the_counts_give_now_and_claims_no_measurement() -> None:
    assert RESULT.read_text() == markdown(8192)
    assert "not measurements: no GPU has run a kernel" in RESULT.read_text()
