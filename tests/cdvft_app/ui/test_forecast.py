"""What is said before Start, counted by the same formulas as everywhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cdvft_app import catalog
from cdvft_app.prediction import predict
from cdvft_app.prediction.observations import Estimate
from cdvft_app.settings import InvalidChoice, RaceRequest, RunSettings
from cdvft_app.training import device
from cdvft_app.ui.train.forecast import ForecastHtml, forecast_html


def said(request: RaceRequest) -> ForecastHtml:
    """What is said of a race where nothing has run yet."""
    plans = [catalog.resolve(settings) for settings in request.runs()]
    return forecast_html(plans, [predict(plan, []) for plan in plans])


@pytest.mark.parametrize(
    ("request_", "promise"),
    [
        (RaceRequest(), "CDVFT trains <b>13,824</b> numbers"),
        (RaceRequest(m=3), "CDVFT trains <b>23,040</b> numbers"),
        (RaceRequest(block_size=64), "CDVFT trains <b>36,864</b> numbers"),
        (RaceRequest(), "(0.78\u00a0%)"),
        (RaceRequest(), "0.78\u00a0% of the 1,769,472 numbers in the adapted layers of MiniLM (6 layers)"),
        (RaceRequest(m=3, block_size=1), "(201\u00a0%)"),
        (RaceRequest(methods=("lora",)), "LoRA trains <b>73,728</b> numbers"),
        (RaceRequest(methods=("head",)), "Only the classifier head is trained"),
        (RaceRequest(recipe="mnist"), "CDVFT trains <b>46,080</b> numbers"),
    ],
)
def test_promise(request_: RaceRequest, promise: str) -> None:
    assert promise in said(request_).counts


def test_counts_of_the_others() -> None:
    counts = said(RaceRequest()).counts
    assert "73,728" in counts
    assert "12,000" in counts
    assert counts.count("<li ") == 2


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (RaceRequest(), "one circulant of 384, between two diagonals"),
        (RaceRequest(m=4), "one circulant of 384, then 2 more of 384 × 384, between 4 diagonals"),
        (RaceRequest(block_size=100), "4 × 4 circulant blocks of 100, padded where they do not divide"),
        (RaceRequest(m=3, block_size=96), "then one more of 4 × 4 blocks of 96, between 3 diagonals"),
        (RaceRequest(recipe="mnist"), "3 × 1 circulant blocks of 384"),
        (RaceRequest(methods=("lora",)), ""),
    ],
)
def test_blocks(request_: RaceRequest, words: str) -> None:
    drawn = said(request_).blocks
    assert words in drawn
    assert bool(drawn) == bool(words)


def test_unknown_layers_are_said_to_be_unknown() -> None:
    unknown = said(RaceRequest(model="someone/something"))
    assert "counted once it is loaded" in unknown.counts
    assert unknown.blocks == ""


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidChoice, match="at most 384"):
        said(RaceRequest(block_size=385))


def test_names_from_people_are_escaped() -> None:
    with pytest.raises(InvalidChoice):
        said(RaceRequest(model="<script>/x"))


def test_time_and_memory_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "available_bytes", lambda: 7_200_000_000)
    counts = said(RaceRequest(methods=("cdvft", "lora"))).counts
    assert " to " in counts and "a rough guess from another machine" in counts
    assert "<b>1.1 GB</b> memory" in counts and "7.2 GB are free" in counts
    assert "run out" not in counts


def test_what_runs_took_here_is_promised_by_method(monkeypatch: pytest.MonkeyPatch) -> None:
    plans = [catalog.resolve(RunSettings(method=method)) for method in ("cdvft", "lora")]
    certain = [Estimate(value, 0.9 * value, 1.1 * value, "as seen") for value in (39.0, 60.0, 1e9)]
    promised = []
    for plan in plans:
        made = predict(plan, [])
        assert made
        seconds, whole, peak = certain
        promised.append(replace(made, seconds=seconds, whole_seconds=whole, peak_memory_bytes=peak))
    counts = forecast_html(plans, promised).counts
    assert "About <b>2 min</b>" in counts
    assert "CDVFT, 39 s of training: as seen LoRA, 39 s of training: as seen" in counts
    unknown = [replace(made, seconds=None, whole_seconds=None) for made in promised]
    assert "is not known before a first run has ended" in forecast_html(plans, unknown).counts


def test_two_entries_of_a_method_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "available_bytes", lambda: 1_000_000)
    methods = ({"method": "cdvft"}, {"method": "cdvft", "alpha": 5.0}, {"method": "lora"})
    plans = [catalog.resolve(one) for one in RaceRequest(methods=methods).runs()]
    seconds = Estimate(39.0, 36.0, 42.0, "as seen")
    made = [predict(plan, []) for plan in plans]
    promised = [replace(one, seconds=seconds, whole_seconds=seconds) for one in made if one]
    counts = forecast_html(plans, promised).counts.replace("\u00a0", " ")
    assert "CDVFT α = 1 trains <b>13,824</b> numbers" in counts
    assert "</span>CDVFT α = 5 <b>13,824</b>" in counts and "</span>LoRA <b>" in counts
    assert "CDVFT α = 5, 39 s of training: as seen LoRA, 39 s of training: as seen" in counts
    large = replace(promised[1], peak_memory_bytes=Estimate(9e9, 9e9, 9e9, "as seen"))
    told = forecast_html(plans, [promised[0], large, promised[2]]).counts.replace("\u00a0", " ")
    assert '<p class="problem" role="alert">CDVFT α = 5 needs about ' in told


@pytest.mark.parametrize(
    ("free", "words"),
    [(2_800_000_000, ""), (2_100_000_000, "it may run out"), (1_000_000_000, "it will most likely run out")],
)
def test_too_little_memory_is_said(free: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "available_bytes", lambda: free)
    counts = said(RaceRequest(methods=("lora",), batch_size=128, max_length=512)).counts
    assert words in counts
    assert ("Lower the batch size or the text length" in counts) == bool(words)
