"""A trainer that takes milliseconds, and waiting for what the queue makes of its runs."""

import threading

import run_events
from waiting import wait, wait_for

from cdvft_app.events import Evaluation, Preparing, TrainingStopped
from cdvft_app.settings import RunSettings

__all__ = ["RUN", "FakeTrainer", "steps", "wait", "wait_for"]
RUN = RunSettings(method="cdvft")


def steps(store, run_id):
    """The steps that were told, in their order."""
    return [row["step"] for row in store.rows(run_id, kinds=["step"])[0]]


class FakeTrainer:
    """Makes `steps` steps; `until` holds it before each of them; `at_step` may raise."""

    def __init__(self, steps=3, at_step=lambda step: None):
        self.steps, self.at_step = steps, at_step
        self.calls: list[tuple[RunSettings, bool]] = []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, settings, emit, should_stop, folder, resume=False):
        self.calls.append((settings, resume))
        first = int((folder / "checkpoint").read_text()) if resume else 0
        emit(Preparing("Loading"))
        while not self.go.wait(0.002):
            if should_stop():
                raise TrainingStopped
        emit(run_events.started(self.steps))
        state = "finished"
        for step in range(first + 1, self.steps + 1):
            self.at_step(step)
            emit(run_events.step(step, 1 / step))
            (folder / "checkpoint").write_text(str(step))
            if should_stop():
                state = "stopped"
                break
        emit(Evaluation(step, step / 10, 0.5, "accuracy", 0.75, True))
        done = run_events.done(step, folder / "adapter", state=state)
        emit(done)
        return done
