"""Settings and events that the tests of the store share."""

from pathlib import Path

from cdvft_app.events import Done, Started, Step
from cdvft_app.settings import RunSettings

CDVFT, LORA = RunSettings(method="cdvft", seed=3), RunSettings(method="lora", seed=3)
STARTED = Started(100, 13_824, 770, 22_000_000, "CPU, 2 threads", "float32", 2048, 1066, "accuracy")


def done(state="finished", step=4, folder=Path("adapter")):
    return Done(state, step, 9.5, "accuracy", 0.77, 0.4, 120.0, 55_000, None, folder)


def step(number, loss=0.5):
    return Step(number, number / 10, loss, 1e-3, 0.9, 1000.0)
