"""What is learned from runs that ended, and from which."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import run_events

from cdvft_app import catalog, prediction
from cdvft_app.costs.request import parse_cost
from cdvft_app.costs.table import cost_table
from cdvft_app.prediction import GUESS_OF_GPU, Prediction, predict, step_seconds
from cdvft_app.prediction.observations import Estimate
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.training import calibration
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


def test_a_few_steps_of_another_model_teach_nothing(store: RunStore) -> None:
    before = seconds_of(store)
    finish(store, 0.5, recipe="digits", max_steps=2)
    assert seconds_of(store) == before
    finish(store, 14.0, recipe="digits")
    after = seconds_of(store)
    assert after != before and "as one run of other models" in after.how


def test_two_seconds_here_stand_for_a_first_run(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    guess = seconds_of(store)
    monkeypatch.setattr(calibration, "SECONDS", 0.0)
    monkeypatch.setattr(calibration, "_found", [])
    pace = calibration.measure()
    assert calibration.measured_pace() == pace > 0
    made = predict_run(store)
    assert made.seconds and "measured here" in made.seconds.how
    assert made.seconds.value == pytest.approx(pace * made.counted.training_flops)
    assert made.seconds.high / made.seconds.low < guess.high / guess.low
    finish(store, 14.0, recipe="mnist")
    assert seconds_of(store) == made.seconds, "closer than a run of another model"
    finish(store, 14.0)
    assert seconds_of(store).value == pytest.approx(14.0), "a run that ended knows better"


def test_what_another_device_took_teaches_nothing(store: RunStore) -> None:
    before = predict_run(store)
    finish(store, 1.0, device="NVIDIA H100")
    assert predict_run(store) == before


def test_memory_beside_the_step_is_the_program(store: RunStore) -> None:
    small = finish(store, 40.0, peak=1_500_000_000)
    again = predict_run(store).peak_memory_bytes
    assert again.value == pytest.approx(1_500_000_000)
    assert again.low < again.value < again.high
    larger = predict_run(store, batch_size=128)
    assert small.forecast
    more = larger.step_bytes.value - 1.13 * small.forecast["counted"]["step_bytes"]
    assert larger.peak_memory_bytes.value == pytest.approx(again.value + more)


def test_a_resumed_run_says_nothing_about_loading(store: RunStore) -> None:
    run = ended_after(finish(store, 1e-9), 30.0)
    (observed,) = observations_of(run)
    assert observed.overhead_seconds is not None
    (again,) = observations_of(dataclasses.replace(run, queued=run.created + 60))
    assert again.overhead_seconds is None and again.overhead(1.0) is None


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


def test_a_short_run_leaves_the_range_of_a_long_one_wide(store: RunStore) -> None:
    """A default run took 39 s of training, 60 s in all; ten steps took 9 s, the first ones 6 of them."""
    seconds, whole = predict_from(ended_after(finish(store, 9.0, max_steps=10), 30.0))
    assert seconds.low < 39.0 < seconds.high
    assert whole.low < 60.0 < whole.high
    many = finish(store, 39.0)
    assert predict_run(store).seconds == predict_from(many)[0]  # the ten steps no longer count


def test_more_evaluations_take_longer_and_loading_does_not(store: RunStore) -> None:
    run = ended_after(finish(store, 40.0, evaluation_examples=256), 60.0)
    whole = {many: predict_from(run, evaluation_examples=many)[1] for many in (256, 512)}
    assert whole[256].value == pytest.approx(60.0)
    assert 60.0 < whole[512].value < 80.0
    assert whole[512].low <= 60.0 and whole[512].high >= 80.0


def observations_of(run: RunRecord) -> Any:
    from cdvft_app.prediction.observations import observed_runs

    return observed_runs([run], HERE, 1.13)


def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "kind_of_training", lambda: "cuda")
    monkeypatch.setattr(prediction, "device_name", lambda *_: "some GPU")


def test_a_gpu_that_nothing_ran_on_has_no_time(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_gpu(monkeypatch)
    made = predict_run(store)
    assert made.seconds is None and made.whole_seconds is None
    assert made.peak_memory_bytes.value == made.step_bytes.value
    store.measurements.keep(measurement(0.2, 100e9, device="some GPU"))
    assert seconds_of(store).value == pytest.approx(made.counted.training_flops * 0.2 / 100e9)


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


def test_what_other_programs_took_is_left_open(store: RunStore) -> None:
    store.measurements.keep(measurement(0.5, 100e9, others=0.8))
    seconds = seconds_of(store)
    assert seconds.low == pytest.approx(0.2 * seconds.value)


def test_one_step_is_foretold_and_a_tiny_one_tells_nothing(store: RunStore) -> None:
    (row,) = cost_table(parse_cost({"model": "meta-llama/Meta-Llama-3-8B", "methods": ["lora"]}))
    assert step_seconds(row, [], []) is None
    assert step_seconds(row, [], [measurement(0.1, 1e6)]) is None
    learned = step_seconds(row, [], [measurement(2.0, 500e9)])
    assert learned and learned.value == pytest.approx(row["total_flops_per_step"] * 2.0 / 500e9)
    assert learned.high == pytest.approx(3 * learned.value) and "of other models here" in learned.how


def test_seconds_of_a_gpu_that_is_lent_are_known_before_anything_ended_there(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_gpu(monkeypatch)
    monkeypatch.setattr(prediction, "knows_lent_gpu", lambda: True)
    lent = predict_run(store)
    assert lent.seconds and lent.whole_seconds and GUESS_OF_GPU in lent.seconds.how
    flops = lent.counted.training_flops
    assert lent.seconds.low == pytest.approx(flops / 67e12)
    assert lent.seconds.high == pytest.approx(flops / 130e9)
    finish(store, 7.0, device="some GPU")
    assert seconds_of(store).value == pytest.approx(7.0)
