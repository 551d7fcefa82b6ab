"""The setting with which one method's cost comes nearest to another's, by hand."""

from __future__ import annotations

import pytest

from cdvft import cost

ROBERTA_BASE = [cost.Shape("query", 768, 768, 12, source="x"), cost.Shape("value", 768, 768, 12, source="x")]
LAYER = [cost.Shape("layer", 64, 64)]


@pytest.mark.parametrize(
    ("method", "quantity", "value"),
    [
        ("lora", "trainable_parameters", 2),  # 1.5 lies between; 2 is 4/3, 1 is 2/3: closer as a ratio
        ("fourierft", "trainable_parameters", 2304),
        ("c3a", "trainable_parameters", 256),
        ("lora", "flops_per_step", 14),
        ("dora", "trainable_parameters", 1),  # its magnitudes alone are 24 of the 72 per row
        ("vera", "trainable_parameters", 1536),  # r + 768 a layer
    ],
)
def test_match_finds_the_nearest_ratio(method, quantity, value):
    reference = cost.estimate("cdvft", ROBERTA_BASE, batch=2, sequence=128)
    found = cost.match(method, reference, ROBERTA_BASE, quantity)
    assert found.value == value
    assert getattr(found.cost, quantity) == pytest.approx(found.ratio * getattr(reference, quantity))


def test_match_uses_the_convention_of_the_reference():
    # C3A with b = 1 has no FFT at all, so it costs nothing in the asymptotic convention.
    reference = cost.estimate("cdvft", LAYER, batch=3, sequence=5, convention="asymptotic")
    found = cost.match("c3a", reference, LAYER, "flops_per_step")
    assert (found.cost.convention, found.cost.batch, found.cost.sequence) == ("asymptotic", 3, 5)
    assert found.wanted == 3 * 15 * (3 * 64 * 6 + 2 * 64)
    assert (found.value, found.cost.flops_per_step) == (32, 3 * 15 * (2 * 2 + 2 + 2) * 32 * 5)


@pytest.mark.parametrize(
    ("method", "quantity", "name"),
    [
        ("fourierft", "flops_per_step", "FourierFT"),
        ("full", "trainable_parameters", "'full'"),
        ("lora", "seconds", "'seconds'"),
    ],
)
def test_match_rejects_impossible_matches(method, quantity, name):
    with pytest.raises(ValueError, match=name):
        cost.match(method, cost.estimate("cdvft", ROBERTA_BASE, batch=1, sequence=1), ROBERTA_BASE, quantity)
