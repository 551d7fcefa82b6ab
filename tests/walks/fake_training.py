"""A `train` function that learns nothing in milliseconds, so that walks of the page need no model."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import run_events

from cdvft_app.events import Done, Evaluation, Event, Preparing, TrainingFailed, TrainingStopped
from cdvft_app.settings import RunSettings

hold_at: int | None = None
"""Runs wait after this step while it is set. Walks thus never race against the clock."""
DIVERGES_AT = 9.0
"""Learning rates from here on fail at their second step."""
PAUSE = 0.005
SECONDS_PER_STEP = 0.02


def train(
    settings: RunSettings,
    emit: Callable[[Event], None],
    should_stop: Callable[[], bool],
    folder: Path,
    resume: bool = False,
) -> Done:
    """Make `max_steps` steps (40 if unset). A resumed run continues after its checkpoint."""
    steps = settings.max_steps or 40
    checkpoint = folder / "checkpoint"
    done = int(checkpoint.read_text()) if resume and checkpoint.is_file() else 0
    emit(Preparing("Reading the fake model", 0.5))
    time.sleep(PAUSE)
    if should_stop():
        raise TrainingStopped
    emit(run_events.started(steps, trainable_parameters=13_824))
    while done < steps and not should_stop():
        time.sleep(PAUSE)
        if hold_at is not None and done >= hold_at:
            continue
        done += 1
        if (settings.method.learning_rate or 0) >= DIVERGES_AT and done > 1:
            raise TrainingFailed(f"The loss is NaN at step {done}.")
        emit(run_events.step(done, 0.7 / done**0.5, seconds=done * SECONDS_PER_STEP))
        emit(Evaluation(done, done * SECONDS_PER_STEP, 0.5, "accuracy", score(done, steps)))
        checkpoint.write_text(str(done))
    emit(Evaluation(done, done * SECONDS_PER_STEP, 0.5, "accuracy", score(done, steps), final=True))
    state = "finished" if done == steps else "stopped"
    seconds = done * SECONDS_PER_STEP
    end = run_events.done(done, folder / "adapter", state=state, metric=score(done, steps), seconds=seconds)
    emit(end)
    return end


def score(step: int, steps: int) -> float:
    """Accuracy grows from 50% to 80% over a run."""
    return 0.5 + 0.3 * step / steps
