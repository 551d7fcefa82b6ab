"""What methods say of themselves: settings, their limits, and labels."""

from __future__ import annotations

import math
import re

import pytest
from pydantic import ValidationError

from cdvft_app.format import plain
from cdvft_app.methods import METHODS, labels

KEYS = ("cdvft", "lora", "fourierft", "c3a", "dora", "vera", "head", "full")
Cdvft, Lora, FourierFT, C3A, Dora, Vera, Head, Full = (METHODS[key] for key in KEYS)


def test_settings_are_named_in_their_order_with_their_start_values():
    names = ["m", "block_size", "alpha", "init_weights", "input_diagonal_lr_ratio"]
    assert list(Cdvft.settings()) == names
    assert [one.default for one in Cdvft.settings().values()] == [2, None, 1.0, "zero_output", 1.0]
    assert list(FourierFT.settings()) == ["n", "scaling"] and Full.settings() == {}
    rank = Lora.settings()["r"]
    assert (rank.name, rank.symbol, rank.title) == ("r", "r", "rank")
    assert (rank.size, rank.in_label) == (True, "always")


@pytest.mark.parametrize(
    ("kind", "name", "values"),
    [
        (Lora, "r", int),
        (Cdvft, "block_size", int),  # None stands for each layer's default
        (Cdvft, "alpha", float),
        (Cdvft, "init_weights", str),
    ],
)
def test_a_setting_knows_the_kind_of_its_values(kind, name, values):
    assert kind.settings()[name].kind is values


@pytest.mark.parametrize(
    ("kind", "name", "flat", "label"),
    [
        (Lora, "r", "lora_r", "LoRA rank (r)"),
        (C3A, "block_size", "c3a_block_size", "C3A block size (b)"),
        (Cdvft, "m", "m", "Diagonal vectors (m)"),
        (FourierFT, "scaling", "fourierft_scaling", "FourierFT scaling"),  # its symbol is its title
        (Cdvft, "init_weights", "init_weights", "Initialization"),
    ],
)
def test_a_setting_beside_those_of_all_methods(kind, name, flat, label):
    assert kind.flat_name(name) == flat
    assert kind.label_of(kind.settings()[name]) == label


@pytest.mark.parametrize(
    ("kind", "name", "value", "text"),
    [
        (FourierFT, "n", 20_000, "n = 20,000"),
        (Cdvft, "alpha", 0.5, "α = 0.5"),
        (Cdvft, "block_size", None, "p = each layer's default"),
        (Cdvft, "init_weights", "zero_circulant", "initialization = circulant"),
    ],
)
def test_a_value_in_words(kind, name, value, text):
    assert plain(kind.settings()[name].text(value)) == text


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


def test_what_is_its_own_and_what_decides_its_size():
    method = FourierFT(n=50, scaling=100.0, learning_rate=0.1)
    assert method.setting_values() == {"n": 50, "scaling": 100.0} and method.sizes() == {"n": 50}
    assert Cdvft(m=3).sizes() == {"m": 3, "block_size": None} and Head().setting_values() == {}
    assert method.key == "fourierft" and method.model_dump()["method"] == "fourierft"


def test_matching_changes_one_setting_alone():
    assert FourierFT(n=50, scaling=100.0).matched(70) == FourierFT(n=70, scaling=100.0)
    assert Lora(r=4, rank_pattern="query=2").matched(6) == Lora(r=6), "in every layer"
    assert [kind.matched_by for kind in (Lora, Dora, Vera, C3A)] == ["r", "r", "r", "block_size"]
    assert Cdvft.matched_by is None and Head.matched_by is None


def test_an_equal_method_is_told_by_nothing_but_its_values():
    with pytest.raises(ValidationError, match="frozen"):
        Lora().r = 9


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


def test_labels_of_a_race_name_each_setting_that_differs_within_a_method():
    race = [Cdvft(alpha=0.5), Cdvft(alpha=2.0), FourierFT(n=10), Head(learning_rate=0.1)]
    race += [Lora(learning_rate=0.001), Lora(learning_rate=0.003)]
    assert [plain(label) for label in labels(race)] == [
        "CDVFT α = 0.5",
        "CDVFT α = 2",
        "FourierFT n = 10",
        "Head only",
        "LoRA r = 8, rate 0.001",
        "LoRA r = 8, rate 0.003",
    ]


def test_what_was_changed_from_the_start():
    assert Cdvft().changed() == [] and C3A().changed() == []
    changed = Cdvft(m=3, alpha=0.5, init_weights="zero_circulant", learning_rate=0.1).changed()
    assert list(map(plain, changed)) == ["m = 3", "α = 0.5", "initialization = circulant"]


@pytest.mark.parametrize(
    ("method", "faster"),
    [
        (Cdvft(input_diagonal_lr_ratio=4.0), ["cdvft_diagonals.default.0"]),
        (Lora(loraplus_lr_ratio=4.0), ["lora_B.default.weight"]),
        (Dora(loraplus_lr_ratio=4.0), ["lora_B.default.weight", "lora_magnitude_vector.default.weight"]),
        *((kind(), []) for kind in (Cdvft, Lora, Dora, FourierFT, C3A, Vera, Head, Full)),
    ],
)
def test_a_ratio_is_of_the_rates_of_parameters_with_these_names(method, faster):
    """Names as PEFT has them; another factor is not meant, nor a module whose name ends alike."""
    last = ["cdvft_diagonals.default.0", "cdvft_diagonals.default.1", "cdvft_diagonals.default.10",
            "cdvft_circulants.default.0", "lora_A.default.weight", "lora_B.default.weight",
            "lora_magnitude_vector.default.weight", "my_lora_B.weight"]  # fmt: skip
    found = {name: ratio for pattern, ratio in method.lr_ratios().items()
             for name in last if re.search(pattern, f"base_model.model.layer.0.query.{name}")}  # fmt: skip
    assert found == dict.fromkeys(faster, 4.0)
