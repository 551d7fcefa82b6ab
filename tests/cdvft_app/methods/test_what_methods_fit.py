"""Which layers methods fit, at what rate they learn, and along what their costs are drawn."""

from __future__ import annotations

from types import SimpleNamespace

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
    "method",
    [
        Cdvft(block_size=16),  # of wide's inputs; larger than narrow, where one block is padded
        Cdvft(),
        FourierFT(n=96),
        C3A(block_size=4),
        C3A(),
        Lora(r=8),
        Dora(r=8),
        Vera(r=4096),
        Head(),
    ],
)
def test_what_just_fits_is_allowed(method):
    layers = [WIDE] if method == Cdvft(block_size=16) else [NARROW, WIDE]
    method.require_fitting(layers)
    method.require_useful(layers)


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
    ("method", "setting"),
    [
        (Lora(r=9), "lora_r: got 9"),
        (Dora(r=9), "dora_r: got 9"),
        (Lora(rank_pattern="narrow=9"), "lora_rank_pattern: got narrow=9"),
    ],
)
def test_a_rank_above_the_smaller_side_of_any_layer_adds_nothing(method, setting):
    method.require_fitting([WIDE, NARROW])  # it can be counted and measured
    with pytest.raises(InvalidChoice) as refused:
        method.require_useful([WIDE, NARROW])
    assert str(refused.value) == f"{setting}; narrow is 8 x 12, so a rank above 8 adds nothing."


def test_c3a_does_not_fit_conv1d_layers():
    conv1d = SimpleNamespace(name="c_attn", conv1d=True)
    assert "c_attn is a Conv1D layer" in str(C3A.unsupported_reason([SimpleNamespace(name="other"), conv1d]))
    assert C3A.unsupported_reason([SimpleNamespace(name="other", conv1d=False)]) is None
    assert Lora.unsupported_reason([conv1d]) is None


def test_c3a_takes_the_greatest_common_divisor_where_nothing_was_chosen():
    assert C3A().with_layer_defaults([NARROW, WIDE]).block_size == 4
    assert C3A(block_size=2).with_layer_defaults([NARROW, WIDE]).block_size == 2
    assert C3A().with_layer_defaults([]).block_size is None
    assert Lora(r=3).with_layer_defaults([NARROW]) == Lora(r=3)


@pytest.mark.parametrize(
    ("kind", "shapes", "ladder"),
    [
        (Lora, [SQUARE], (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)),
        (Vera, [SQUARE], (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)),
        (FourierFT, [SQUARE], (1, 10, 100, 1000, 10_000, 100_000)),
        (FourierFT, [SQUARE, cost.Shape("x", 100, 10)], (1, 10, 100, 1000)),
        (C3A, [SQUARE], (768, 384, 256, 192, 128, 96, 64, 48)),  # at most 16 blocks a side
        (C3A, [cost.Shape("x", 272, 272)], (272, 136, 68, 34, 17)),  # not 17 blocks of 16
        (C3A, [NARROW, WIDE], (4, 2, 1)),
        (Cdvft, [SQUARE], ()),
        (Head, [SQUARE], ()),
    ],
)
def test_values_for_an_equal_time_go_from_the_quickest_step_to_the_slowest(kind, shapes, ladder):
    assert kind.ladder(shapes) == ladder


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


@pytest.mark.parametrize("method", [Head(), Full()])
def test_what_has_no_adapter_says_so(method):
    with pytest.raises(ValueError, match=f"{method.title} has no adapter"):
        method.peft_config(target_modules=["x"])
    with pytest.raises(ValueError, match=f"{method.title} has no adapter"):
        method.update(8, 8, {}, lambda: None)
    assert list(method.vectors(None)) == [] and method.size({}) is None and not method.adapter
