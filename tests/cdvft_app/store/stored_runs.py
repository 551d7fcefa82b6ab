"""Settings and events that the tests of the store share."""

from pathlib import Path

import run_events

from cdvft_app.events import Step
from cdvft_app.settings import RunSettings

CDVFT, LORA = RunSettings(method="cdvft", seed=3), RunSettings(method="lora", seed=3)
STARTED = run_events.started(100, trainable_parameters=13_824, head_parameters=770, evaluation_examples=1066)


def done(state="finished", step=4, folder=Path("adapter")):
    return run_events.done(step, folder, state=state, metric=0.77, seconds=9.5)


def step(number, loss=0.5):
    return Step(number, number / 10, loss, 1e-3, 0.9, 1000.0)
