"""What is learned from runs that ended, and from which."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import run_events

from cdvft_app import catalog
from cdvft_app.prediction import Prediction, predict
from cdvft_app.prediction.observations import Estimate
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.training.device import device_name

HERE = device_name("cpu")


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")


def plan_of(**settings: Any) -> catalog.Plan:
    return catalog.resolve(RunSettings(**{"method": "cdvft", **settings}))


def predict_run(store: RunStore, **settings: Any) -> Prediction:
    made = predict(plan_of(**settings), store.finished(), store.measurements.all())
    assert made is not None
    return made


def seconds_of(store: RunStore, **settings: Any) -> Estimate:
    seconds = predict_run(store, **settings).seconds
    assert seconds is not None
    return seconds


def finish(
    store: RunStore, seconds: float, peak: int | None = None, device: str = HERE, **settings: Any
) -> RunRecord:
    """A run of these settings that took so long."""
    promised = predict_run(store, **settings)
    (run,) = store.create([plan_of(**settings).settings], "secret", forecasts=[promised.as_json()])
    steps = promised.counted.steps
    store.set_state(run.id, "preparing")
    store.append(run.id, run_events.started(steps, trainable_parameters=13_824, device=device))
    store.append(run.id, run_events.done(steps, metric=0.5, peak_memory_bytes=peak, seconds=seconds))
    ended = store.get(run.id)
    assert ended is not None
    return ended


def test_without_runs_it_is_a_rough_guess_and_says_so(store: RunStore) -> None:
    made = predict_run(store)
    assert made.seconds and made.whole_seconds
    assert made.seconds.high == pytest.approx(9 * made.seconds.low)
    assert "rough guess" in made.seconds.how
    assert made.whole_seconds.value > made.seconds.value
    assert made.evaluating and made.evaluating.times == 6  # five on validation rows
    spent = 5 * made.evaluating.seconds + made.evaluating.last_seconds
    share = made.counted.evaluation_flops / made.counted.training_flops
    assert spent == pytest.approx(share * made.seconds.value), "evaluations at training's pace"
    assert "13 % on top" in made.peak_memory_bytes.how


def test_two_runs_of_the_same_kind_decide(store: RunStore) -> None:
    finish(store, 40.0)
    finish(store, 50.0)
    seconds = seconds_of(store)
    assert seconds.value == pytest.approx(45.0)
    assert seconds.low <= 40.0 and seconds.high >= 50.0
    assert "the last 2 runs of the same method on the same model and data" in seconds.how
    assert seconds_of(store, epochs=4.0).value == pytest.approx(90.0)


@pytest.mark.parametrize(
    ("earlier", "words"),
    [
        ({"recipe": "sentiment", "dataset": "someone/texts"}, "of the same method on the same model here"),
        ({"method": "lora"}, "of other methods on the same model"),
        ({"batch_size": 1, "max_length": 8}, "on the same model, of another size or length"),
        ({"recipe": "mnist"}, "of other models"),
    ],
)
def test_the_nearest_run_decides(store: RunStore, earlier: dict[str, Any], words: str) -> None:
    finish(store, 10.0, **earlier)
    seconds = seconds_of(store)
    assert words in seconds.how
    finish(store, 77.0)
    nearest = seconds_of(store)
    assert nearest.value == pytest.approx(77.0)
    assert nearest.high / nearest.value < seconds.high / seconds.value


def ended_after(run: RunRecord, whole: float) -> RunRecord:
    """The run, as if it had gone on for so long from its first loading to its end."""
    assert run.started
    return dataclasses.replace(run, ended=run.started + whole)


def predict_from(run: RunRecord, **settings: Any) -> tuple[Estimate, Estimate]:
    made = predict(plan_of(**settings), [run])
    assert made and made.seconds and made.whole_seconds
    return made.seconds, made.whole_seconds


@pytest.mark.parametrize("settings", [{"recipe": "digits", "max_steps": 5}, {}])
def test_the_same_run_again_is_promised_what_it_took(store: RunStore, settings: dict[str, Any]) -> None:
    """Though evaluations at the pace of so few steps would have taken longer than all of it."""
    run = ended_after(finish(store, 17.2, **settings), 102.1)
    seconds, whole = predict_from(run, **settings)
    assert seconds.value == pytest.approx(17.2) and whole.value == pytest.approx(102.1)
    assert seconds.low < 17.2 <= seconds.high and whole.low < 102.1 < whole.high


def measurement(seconds: float, flops: float, device: str = HERE, **about: Any) -> dict[str, Any]:
    """A measured step of CDVFT on the model of the default recipe, as the store keeps it."""
    return {
        "model": "sentence-transformers/all-MiniLM-L6-v2", "method": "cdvft", "targets": ["query"],
        "setting": {"m": 2, "block_size": None}, "batch": 16, "sequence": 128, "seconds": seconds,
        "step_flops": flops, "others": 0.0, "device": device, "time": 1.0, **about,
    }  # fmt: skip


def test_a_measured_step_teaches_the_pace(store: RunStore) -> None:
    store.measurements.keep(measurement(0.5, 100e9))
    store.measurements.keep(measurement(9.9, 100e9, device="another"))
    made = predict_run(store)
    assert made.seconds and made.whole_seconds and "one measured step of the same method" in made.seconds.how
    assert made.seconds.value == pytest.approx(made.counted.training_flops * 0.5 / 100e9)
    assert made.whole_seconds.value > made.seconds.value
    finish(store, 77.0)
    assert seconds_of(store).value == pytest.approx(77.0), "a run of the same data comes first"
    finish(store, 30.0, recipe="sentiment", dataset="someone/texts")
    both = seconds_of(store, recipe="sentiment", dataset="other/texts")
    assert "as the last 2 runs and one measured step" in both.how
