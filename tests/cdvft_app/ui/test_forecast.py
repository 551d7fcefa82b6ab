"""What is said before Start, counted by the same formulas as everywhere."""

from __future__ import annotations

import pytest

from cdvft_app.settings import InvalidChoice, RaceRequest
from cdvft_app.ui.forecast import forecast


@pytest.mark.parametrize(
    ("request_", "promise"),
    [
        (RaceRequest(), "CDVFT trains <b>13,824</b> numbers instead of 1,769,472"),
        (RaceRequest(m=3), "CDVFT trains <b>23,040</b> numbers"),
        (RaceRequest(block_size=64), "CDVFT trains <b>36,864</b> numbers"),
        (RaceRequest(methods=("lora",)), "LoRA trains <b>73,728</b> numbers"),
        (RaceRequest(methods=("head",)), "Only the classifier head is trained"),
        (RaceRequest(recipe="mnist"), "CDVFT trains <b>46,080</b> numbers"),
    ],
)
def test_promise(request_: RaceRequest, promise: str) -> None:
    assert promise in forecast(request_).counts


def test_counts_of_the_others() -> None:
    counts = forecast(RaceRequest()).counts
    assert "73,728" in counts
    assert "12,000" in counts
    assert counts.count("<li>") == 2


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (RaceRequest(), "one circulant of 384, between two diagonals"),
        (RaceRequest(m=4), "one circulant of 384, then 2 more of 384 × 384, between 4 diagonals"),
        (RaceRequest(block_size=100), "4 × 4 circulant blocks of 100, padded where they do not divide"),
        (RaceRequest(recipe="mnist"), "3 × 1 circulant blocks of 384"),
        (RaceRequest(methods=("lora",)), ""),
    ],
)
def test_blocks(request_: RaceRequest, words: str) -> None:
    drawn = forecast(request_).blocks
    assert words in drawn
    assert bool(drawn) == bool(words)


def test_unknown_layers_are_said_to_be_unknown() -> None:
    said = forecast(RaceRequest(model="someone/something"))
    assert "counted once it is loaded" in said.counts
    assert said.blocks == ""


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidChoice, match="at most 384"):
        forecast(RaceRequest(block_size=385))


def test_names_from_people_are_escaped() -> None:
    with pytest.raises(InvalidChoice):
        forecast(RaceRequest(model="<script>/x"))
