"""A `train` that learns nothing in a second, so that the tests of the page need no model."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import run_events

from cdvft_app.events import (
    Done,
    Evaluation,
    Event,
    Note,
    Preparing,
    Step,
    TrainingFailed,
    TrainingStopped,
)
from cdvft_app.settings import RunSettings

SECONDS_A_STEP = 0.02  # as the runs say; those that nobody watches make them in less
WAIT = 0.005
hold_at: int | None = None  # after this step runs wait while it is set: no test races with the clock
DIVERGES_AT = 9.0  # a learning rate from here on ends in NaN
PARAMETERS = {
    "cdvft": 13_824,
    "lora": 73_728,
    "fourierft": 12_000,
    "c3a": 13_824,
    "head": 0,
    "full": 22_713_216,
}


def train(
    settings: RunSettings,
    emit: Callable[[Event], None],
    should_stop: Callable[[], bool],
    folder: Path,
    resume: bool = False,
) -> Done:
    """`max_steps` steps (40) with a falling loss; goes on from `checkpoint` when resumed."""
    steps = settings.max_steps or 40
    checkpoint = folder / "checkpoint"
    first = int(checkpoint.read_text()) + 1 if resume and checkpoint.is_file() else 1
    for fraction in (0.2, 0.6):
        emit(Preparing("Reading the fake model, 1 MB", fraction))
        time.sleep(WAIT)
        if should_stop():
            raise TrainingStopped
    facts = {"head_parameters": 770, "base_parameters": 22_713_216, "device": "CPU, fake"}
    rows = {"train_examples": 64, "evaluation_examples": 100}
    emit(run_events.started(steps, trainable_parameters=PARAMETERS[settings.method.key], **facts, **rows))
    emit(Evaluation(first - 1, 0.0, 0.7, "accuracy", 0.5))
    emit(Note("This training is a fake."))
    done = first - 1
    for step in range(first, steps + 1):
        time.sleep(WAIT)
        while hold_at is not None and step > hold_at and not should_stop():
            time.sleep(WAIT)
        if should_stop():
            break
        if (settings.method.learning_rate or 0) >= DIVERGES_AT and step > 5:
            raise TrainingFailed(
                f"The loss became NaN at step {step}. "
                f"The learning rate {settings.method.learning_rate} is too high."
                " Start again with a tenth of it."
            )
        emit(Step(step, step * SECONDS_A_STEP, 0.7 / step**0.5, 0.01, 1.0, 1000.0))
        checkpoint.write_text(str(step))
        if step % 10 == 0:
            emit(Evaluation(step, step * SECONDS_A_STEP, 0.5, "accuracy", 0.5 + 0.3 * step / steps))
        done = step
    metric = 0.5 + 0.3 * done / steps
    emit(Evaluation(done, done * SECONDS_A_STEP, 0.5, "accuracy", metric, final=True))
    state = "finished" if done == steps else "stopped"
    facts = {"metric": metric, "train_loss": 0.4, "examples_per_second": 25.0, "adapter_bytes": 1000}
    end = run_events.done(done, folder / "adapter", state=state, seconds=done * SECONDS_A_STEP, **facts)
    emit(end)
    return end
