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


@pytest.mark.parametrize(
    ("method", "target", "setting", "value"),
    [
        ("lora", ("fourierft", {"n": 50}), "r", 1),  # rank 1 has 128 already
        ("lora", ("full", {}), "r", 32),  # 4096 = 128 r
        ("fourierft", ("lora", {"r": 64}), "n", 4096),  # all there are
        ("fourierft", ("lora", {"r": 1}), "n", 128),
        ("c3a", ("lora", {"r": 64}), "block_size", 1),  # 4096 / b
        ("c3a", ("fourierft", {"n": 100}), "block_size", 32),  # 128 is nearer than 64
    ],
)
def test_match_reaches_the_ends_of_the_range(method, target, setting, value):
    reference, settings = target
    found = cost.match(method, cost.estimate(reference, LAYER, batch=1, sequence=1, **settings), LAYER)
    assert (found.method, found.setting, found.value) == (method, setting, value)
    exact = cost.estimate(method, LAYER, batch=1, sequence=1, **{setting: value})
    assert (found.cost, found.quantity) == (exact, "trainable_parameters")
    assert found.wanted * found.ratio == pytest.approx(exact.trainable_parameters)


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


@pytest.mark.parametrize(
    ("method", "largest", "value"),
    [("vera", 100, 100), ("lora", 1, 1), ("fourierft", 50, 50), ("c3a", 48, 32)],
)
def test_match_respects_the_largest_value(method, largest, value):
    target: tuple[cost.Method, dict[str, int]] = ("fourierft", {"n": 50}) if method == "c3a" else ("full", {})
    reference = cost.estimate(target[0], LAYER, batch=1, sequence=1, **target[1])
    assert cost.match(method, reference, LAYER, largest=largest).value == value
    assert cost.match(method, reference, LAYER).value != value
