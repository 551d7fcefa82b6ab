"""What is said before Start, counted by the same formulas as everywhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cdvft_app import catalog
from cdvft_app.prediction import Prediction, predict
from cdvft_app.prediction.observations import Estimate
from cdvft_app.settings import RaceRequest
from cdvft_app.training import device
from cdvft_app.ui.train.forecast import ForecastHtml, forecast_html


def said(request: RaceRequest) -> ForecastHtml:
    """What is said of a race where nothing has run yet."""
    plans = [catalog.resolve(settings) for settings in request.runs()]
    return forecast_html(plans, [predict(plan, []) for plan in plans])


@pytest.mark.parametrize(
    ("race", "promise"),
    [
        (
            {},
            "CDVFT: <b>13,824</b> trainable parameters <span class='quiet'>(0.78\u00a0%",
        ),
        ({}, "0.78\u00a0% of the 1,769,472 frozen parameters in the adapted layers of MiniLM (6 layers)"),
        ({}, 'role="list"><li title="LoRA r\u00a0=\u00a08"><span class="dot lora">'),  # the others
        ({}, "</span>LoRA <b>73,728</b></li><li "),
        ({}, "</span>FourierFT <b>12,000</b></li></ul>"),
        ({"m": 3, "block_size": 1}, "(201\u00a0% of adapted layers)"),
        ({"block_size": 64}, "CDVFT: <b>36,864</b> trainable parameters"),
        ({"methods": ("lora",)}, "LoRA: <b>73,728</b> trainable parameters"),
        ({"methods": ("head",)}, "Trains the classifier head only"),
        ({"recipe": "mnist"}, "CDVFT: <b>46,080</b> trainable parameters"),
        ({"model": "someone/something"}, "The layers of this model are counted once it is loaded."),
    ],
)
def test_what_each_method_trains_is_promised(race: dict[str, Any], promise: str) -> None:
    assert promise in said(RaceRequest(**race)).counts


@pytest.mark.parametrize(
    ("race", "words"),
    [
        ({}, "one circulant of 384, between two diagonals"),
        ({"m": 4}, "one circulant of 384, then 2 more of 384 × 384, between 4 diagonals"),
        ({"block_size": 100}, "4 × 4 circulant blocks of 100, padded where they do not divide"),
        ({"m": 3, "block_size": 96}, "then one more of 4 × 4 blocks of 96, between 3 diagonals"),
        ({"recipe": "mnist"}, "3 × 1 circulant blocks of 384"),
        ({"methods": ("lora",)}, ""),
        ({"model": "someone/something"}, ""),
    ],
)
def test_cdvfts_blocks_are_drawn_and_said(race: dict[str, Any], words: str) -> None:
    drawn = said(RaceRequest(**race)).blocks
    assert words in drawn and bool(drawn) == bool(words)


def test_time_and_memory_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "available_bytes", lambda: 7_200_000_000)
    counts = said(RaceRequest(methods=("cdvft", "lora"))).counts
    assert " to " in counts and "a rough guess from another machine" in counts
    assert "<b>1.1 GB</b> memory" in counts and "7.2 GB are free" in counts
    assert "run out" not in counts


def test_what_runs_took_here_is_promised_by_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "available_bytes", lambda: 1_000_000)
    methods = ({"method": "cdvft"}, {"method": "cdvft", "alpha": 5.0}, {"method": "lora"})
    plans = [catalog.resolve(one) for one in RaceRequest(methods=methods).runs()]

    def told(promised: list[Prediction]) -> str:
        return forecast_html(plans, promised).counts.replace("\u00a0", " ")

    seconds, whole, much = (
        Estimate(value, 0.9 * value, 1.1 * value, "as seen") for value in (39.0, 60.0, 9e9)
    )
    promised = [replace(predict(plan, []), seconds=seconds, whole_seconds=whole) for plan in plans]
    promised[1] = replace(promised[1], peak_memory_bytes=much)
    counts = told(promised)
    assert "About <b>3 min</b>" in counts
    assert "CDVFT α = 1: <b>13,824</b> trainable parameters" in counts
    assert "</span>CDVFT α = 5 <b>13,824</b>" in counts and "</span>LoRA <b>" in counts
    assert "CDVFT α = 5, 39 s of training: as seen LoRA, 39 s of training: as seen" in counts
    assert '<p class="problem" role="alert">CDVFT α = 5 needs about ' in counts
    assert "is not known before a first run has ended" in told(
        [replace(one, seconds=None, whole_seconds=None) for one in promised]
    )


@pytest.mark.parametrize(
    ("free", "words"),
    [(2_800_000_000, ""), (2_100_000_000, "it may run out"), (1_000_000_000, "it will most likely run out")],
)
def test_too_little_memory_is_said(free: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "available_bytes", lambda: free)
    counts = said(RaceRequest(methods=("lora",), batch_size=128, max_length=512)).counts
    assert words in counts and ("Lower the batch size or the text length" in counts) == bool(words)
