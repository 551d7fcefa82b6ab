"""The setting with which one method's cost comes nearest to another's, by hand."""

from __future__ import annotations

import pytest

from cdvft import cost

ROBERTA_BASE = [cost.Shape("query", 768, 768, 12, source="x"), cost.Shape("value", 768, 768, 12, source="x")]


@pytest.mark.parametrize(
    ("method", "quantity", "value"),
    [
        ("lora", "trainable_parameters", 2),  # 1.5 lies between; 2 is 4/3, 1 is 2/3: closer as a ratio
        ("fourierft", "trainable_parameters", 2304),
        ("c3a", "trainable_parameters", 256),
        ("lora", "flops_per_step", 14),
        ("dora", "trainable_parameters", 1),  # its magnitudes alone are 24 of the 72 numbers a row has
        ("vera", "trainable_parameters", 1536),  # r + 768 a layer
    ],
)
def test_match(method, quantity, value):
    reference = cost.estimate("cdvft", ROBERTA_BASE, batch=2, sequence=128)
    found = cost.match(method, reference, ROBERTA_BASE, quantity)
    assert found.value == value
    assert getattr(found.cost, quantity) == pytest.approx(found.ratio * getattr(reference, quantity))


LAYER = [cost.Shape("layer", 64, 64)]


@pytest.mark.parametrize(
    ("method", "wanted", "setting", "value"),
    [
        ("lora", ("fourierft", {"n": 50}), "r", 1),  # rank 1 has 128 already
        ("lora", ("full", {}), "r", 32),  # 4096 = 128 r
        ("fourierft", ("full", {}), "n", 4096),  # all there are
        ("fourierft", ("lora", {"r": 64}), "n", 4096),  # and no more
        ("fourierft", ("lora", {"r": 1}), "n", 128),
        ("c3a", ("lora", {"r": 64}), "block_size", 1),  # 4096 / b
        ("c3a", ("fourierft", {"n": 50}), "block_size", 64),
        ("c3a", ("fourierft", {"n": 100}), "block_size", 32),  # 128 is nearer than 64
    ],
)
def test_match_reaches_the_ends_of_what_can_be(method, wanted, setting, value):
    reference, settings = wanted
    found = cost.match(method, cost.estimate(reference, LAYER, batch=1, sequence=1, **settings), LAYER)
    assert (found.method, found.setting, found.value) == (method, setting, value)
    exact = cost.estimate(method, LAYER, batch=1, sequence=1, **{setting: value})
    assert (found.cost, found.quantity) == (exact, "trainable_parameters")
    assert found.wanted * found.ratio == pytest.approx(exact.trainable_parameters)


def test_match_counts_as_the_reference_does():
    # c3a with b = 1 has no FFT at all, so it costs nothing in the style of papers, and cannot be near.
    reference = cost.estimate("cdvft", LAYER, batch=3, sequence=5, convention="asymptotic")
    found = cost.match("c3a", reference, LAYER, "flops_per_step")
    assert (found.cost.convention, found.cost.batch, found.cost.sequence) == ("asymptotic", 3, 5)
    assert found.wanted == 3 * 15 * (3 * 64 * 6 + 2 * 64)
    assert (found.value, found.cost.flops_per_step) == (32, 3 * 15 * (2 * 2 + 2 + 2) * 32 * 5)


@pytest.mark.parametrize(
    ("method", "quantity", "sentence"),
    [
        ("fourierft", "flops_per_step", "whatever n is"),
        ("full", "trainable_parameters", "only lora, fourierft, c3a, dora, vera can be matched"),
        ("lora", "seconds", "quantity is 'seconds'"),
    ],
)
def test_impossible_matches_are_refused_in_a_sentence(method, quantity, sentence):
    with pytest.raises(ValueError, match=sentence):
        cost.match(method, cost.estimate("cdvft", ROBERTA_BASE, batch=1, sequence=1), ROBERTA_BASE, quantity)


@pytest.mark.parametrize(
    ("method", "largest", "value"),
    [("vera", 100, 100), ("lora", 1, 1), ("fourierft", 50, 50), ("c3a", 48, 32)],
)
def test_a_match_is_no_larger_than_may_be_chosen(method, largest, value):
    wanted: tuple[cost.Method, dict[str, int]] = ("fourierft", {"n": 50}) if method == "c3a" else ("full", {})
    reference = cost.estimate(wanted[0], LAYER, batch=1, sequence=1, **wanted[1])
    assert cost.match(method, reference, LAYER, largest=largest).value == value
    assert cost.match(method, reference, LAYER).value != value
