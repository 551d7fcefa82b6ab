"""Which layers methods fit, at what rate they learn, and along what their costs are drawn."""

from __future__ import annotations

import pytest

from cdvft import cost
from cdvft_app.methods import METHODS, InvalidChoice

KEYS = ("cdvft", "lora", "fourierft", "c3a", "dora", "vera", "head", "full")
Cdvft, Lora, FourierFT, C3A, Dora, Vera, Head, Full = (METHODS[key] for key in KEYS)
NARROW, WIDE = cost.Shape("narrow", 8, 12), cost.Shape("wide", 12, 16)  # d_out, d_in
SQUARE, LARGE = (cost.Shape("square", size, size) for size in (768, 4096))
HUGE = cost.Shape("huge", 2**15, 3 * 2**14)
POWERS = [2**n for n in range(14)]


@pytest.mark.parametrize(("m", "rate"), [(2, 0.01), (3, 0.01), (4, 0.003), (16, 0.003)])
def test_four_diagonals_and_more_learn_at_three_tenths_of_what_was_found(m, rate):
    assert Cdvft(m=m).learning_rate_of(0.01) == pytest.approx(rate)
    assert Lora(r=64).learning_rate_of(0.01) == 0.01


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        (Cdvft(block_size=13), "block_size: got 13; narrow is 8 x 12, so it can be at most 12."),
        (FourierFT(n=97), "fourierft_n: got 97; narrow is 8 x 12, so there are 96 frequencies."),
        (C3A(block_size=3), "c3a_block_size: got 3; it must divide the sizes of all layers, and so 4."),
        (
            Lora(rank_pattern="other=2"),
            "lora_rank_pattern: got other=2; there is no layer other among those with an adapter: wide, nar",
        ),
    ],
)
def test_the_first_layer_that_cannot_have_it_is_named(method, sentence):
    with pytest.raises(InvalidChoice) as refused:
        method.require_fitting([WIDE, NARROW])
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    ("kind", "shapes", "growths"),
    [
        (Lora, [NARROW, WIDE], {"r": [1, 2, 4, 8]}),
        (Lora, [cost.Shape("x", 7, 10)], {"r": [1, 2, 4]}),
        (Lora, [cost.Shape("x", 2048, 4096)], {"r": POWERS[:10]}),
        (FourierFT, [cost.Shape("x", 100, 10)], {"n": [10, 30, 100, 300, 1000]}),
        (FourierFT, [LARGE, SQUARE], {"n": [n * 10**k for k in range(1, 6) for n in (1, 3)]}),
        (FourierFT, [HUGE], {"n": [n * 10**k for k in range(1, 7) for n in (1, 3)]}),
        (Vera, [SQUARE], {"r": POWERS[:13]}),
        (Cdvft, [SQUARE], {"m": range(2, 9), "block_size": [16, 32, 64, 128, 256, 512, 768]}),
        (Cdvft, [cost.Shape("x", 96, 64)], {"m": range(2, 9), "block_size": [16, 32, 64]}),
        # In blocks of 16 it would have 32,768, twice as many as are drawn, and the next 16,384, just as many.
        (Cdvft, [cost.Shape("x", 4096, 2048)], {"m": range(2, 9), "block_size": POWERS[5:13]}),
        (Cdvft, [cost.Shape("x", 2048, 2048)], {"m": range(2, 9), "block_size": POWERS[4:12]}),
        # A block that is cut is one, too: of 16 there would be 101 × 163, without the cut ones 100 × 162.
        (Cdvft, [cost.Shape("x", 1601, 2593)], {"m": range(2, 9), "block_size": [1, *POWERS[5:12]]}),
        (Cdvft, [cost.Shape("x", 2593, 1601)], {"m": range(2, 9), "block_size": [1, *POWERS[5:12]]}),
        (Cdvft, [HUGE], {"m": range(2, 9), "block_size": [*POWERS[9:], 2**14]}),
        (C3A, [SQUARE], {}),
        (Full, [SQUARE], {}),
    ],
)
def test_along_what_costs_are_drawn(kind, shapes, growths):
    axes = [*kind.growth_axes(shapes)]
    assert all(axis.note.endswith(".") for axis in axes), "which stands below the chart"
    drawn = {axis.setting: axis.values for axis in axes}
    assert {name: list(values) for name, values in drawn.items()} == {
        name: list(values) for name, values in growths.items()
    }
