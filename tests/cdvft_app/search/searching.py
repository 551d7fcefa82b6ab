"""A trainer whose validation loss is a known bowl over the learning rate, in milliseconds."""

from __future__ import annotations

import math
from typing import Any

import run_events

from cdvft_app.events import Evaluation, Halt, TrainingFailed

BEST_RATE = 0.02  # of CDVFT; other methods have theirs at this share of their usual rate, too
DIVERGES = 0.09
EVALUATED = (2, 4, 6, 8, 10)


def loss_at(settings: Any, step: int) -> float:
    """The lower the nearer the rate is to 0.02; m = 3 is worse by 0.05; falling over the steps."""
    rate = settings.method.learning_rate * 1e-2 / settings.method.usual_learning_rate
    of_m = 0.05 if getattr(settings.method, "m", 2) == 3 else 0.0
    return 0.3 + of_m + math.log10(rate / BEST_RATE) ** 2 + 1 / step


class Trainer:
    """Steps to 10, with an evaluation at each second. `trained`: the settings of all calls, in order."""

    def __init__(self) -> None:
        self.trained: list[Any] = []
        self.resumed = 0
        self.on_call = lambda number: None

    def __call__(self, settings, emit, should_stop, folder, resume=False):
        self.trained.append(settings)
        self.resumed += resume
        self.on_call(len(self.trained))
        emit(run_events.started(10, evaluation_examples=50))
        state = "finished"
        for step in range(1, 11):
            emit(run_events.step(step, 1.0))
            if settings.method.learning_rate > DIVERGES and step == 5:
                raise TrainingFailed("The loss is not a number at step 5.")
            if step in EVALUATED[:-1]:
                emit(Evaluation(step, step / 10, loss_at(settings, step), "accuracy", 0.5))
            if should_stop() is Halt.STOP:
                state = "stopped"
                break
        loss = loss_at(settings, step)
        emit(Evaluation(step, step / 10, loss, "accuracy", 1 / (1 + loss), True))
        emit(run_events.done(step, folder / "adapter", state=state, metric=1 / (1 + loss)))
