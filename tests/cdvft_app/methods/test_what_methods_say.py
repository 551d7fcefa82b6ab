"""What methods say of themselves: settings, their limits, and labels."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from cdvft_app.format import plain
from cdvft_app.methods import METHODS

KEYS = ("cdvft", "lora", "fourierft", "c3a", "dora", "vera", "head", "full")
Cdvft, Lora, FourierFT, C3A, Dora, Vera, Head, Full = (METHODS[key] for key in KEYS)


@pytest.mark.parametrize(
    ("kind", "name", "refused", "allowed"),
    [
        (Lora, "r", (0, 513, "8", 8.5), (1, 512)),
        (Dora, "r", (0, 513), (1, 512)),
        (Vera, "r", (0, 4097), (1, 4096)),
        (Cdvft, "m", (1, 17), (2, 16)),
        (Cdvft, "block_size", (0, 16_385), (1, 16_384)),
        (Cdvft, "alpha", (0.0, 1001.0, math.inf), (1000.0,)),
        (Cdvft, "init_weights", ("zero",), ("zero_input",)),
        (FourierFT, "n", (0, 1_000_001), (1, 1_000_000)),
        (FourierFT, "scaling", (math.nan, 10_001.0), (10_000.0,)),
        (C3A, "block_size", (0, 16_385), (1, 16_384)),
        (Head, "learning_rate", (0.0, 11.0, math.inf), (10.0,)),
        (Full, "rank", (8,), ()),
    ],
)
def test_a_setting_has_two_ends_and_is_refused_beyond(kind, name, refused, allowed):
    for value in allowed:
        assert getattr(kind.model_validate({name: value}), name) == value
    for value in refused:
        with pytest.raises(ValidationError):
            kind.model_validate({name: value})


@pytest.mark.parametrize(
    ("method", "more", "label"),
    [
        (Cdvft(), (), "CDVFT"),
        (Cdvft(m=3, block_size=64, alpha=0.5), (), "CDVFT m = 3, p = 64"),
        (Cdvft(), ("block_size",), "CDVFT p = each layer's default"),
        (Cdvft(), ("m", "alpha"), "CDVFT m = 2, α = 1"),
        (Lora(r=16), (), "LoRA r = 16"),
        (Lora(), ("learning_rate",), "LoRA r = 8"),
        (Lora(learning_rate=0.003), ("learning_rate",), "LoRA r = 8, rate 0.003"),
        (Lora(learning_rate=0.003), (), "LoRA r = 8"),
        (C3A(block_size=64), (), "C3A"),
        (C3A(block_size=64), ("block_size",), "C3A b = 64"),
        (Head(), (), "Head only"),
    ],
)
def test_a_label_has_what_tells_a_method_from_its_like(method, more, label):
    assert plain(method.label(more)) == label
