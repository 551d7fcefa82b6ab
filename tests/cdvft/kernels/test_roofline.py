"""The estimates for GPUs count what the kernel moves and multiplies, and say what they are."""

from __future__ import annotations

import pytest

from benchmarks.roofline import DEVICES, RESULT, frozen_seconds, markdown, merged_seconds, update

(H100,) = (device for device in DEVICES if device.name == "H100")


@pytest.mark.parametrize("tokens", [2, 8192, 1 << 20])
def test_forward_transforms_twice_and_backward_six_times(tokens: int) -> None:
    work = update(768, tokens, H100)
    product = 2 * 16 * 16 * 16
    # of 16 x 16 a real part, whose first product has no imaginary part, and one of two conjugate ones
    assert work.flops == tokens * 8 * (6 + 8) * product
    x = 2 * tokens * 768  # read once forward and thrice backward, as its gradient; the update and by x twice
    programs = min(tokens, 132 * 4)
    assert work.bytes == (1 + 2) * x + (2 * 3 + 2) * x + 2 * 4 * (2 * 768 + 2 * 2 * 256) * programs


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
