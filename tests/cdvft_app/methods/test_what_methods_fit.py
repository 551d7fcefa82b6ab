"""Which layers methods fit, at what rate they learn, and along what their costs are drawn."""

from __future__ import annotations

import pytest

from cdvft import cost
from cdvft_app.methods import METHODS, InvalidChoice

KEYS = ("cdvft", "lora", "fourierft", "c3a", "dora", "vera", "head", "full")
Cdvft, Lora, FourierFT, C3A, Dora, Vera, Head, Full = (METHODS[key] for key in KEYS)
NARROW, WIDE = cost.Shape("narrow", 8, 12), cost.Shape("wide", 12, 16)  # d_out, d_in
SQUARE, LARGE = (cost.Shape("square", size, size) for size in (768, 4096))


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
