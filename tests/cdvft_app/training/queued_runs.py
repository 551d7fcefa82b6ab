"""A trainer of milliseconds, what the queue makes of its runs, and slices that are driven as by a page."""

import threading

from fake_trainers import trains
from waiting import wait_for

from cdvft_app.events import TrainingStopped
from cdvft_app.settings import RunSettings
from cdvft_app.store.states import FINAL

RUN, LONG = (RunSettings(method="cdvft", max_steps=steps) for steps in (40, 100_000))


def steps(store, run_id):
    """The steps that were told, in their order."""
    return [row["step"] for row in store.rows(run_id, kinds=["step"])[0]]


class FakeTrainer:
    """Makes `steps` steps once `go` is set; `at_step` comes before each of them, and may raise."""

    def __init__(self, steps=3, at_step=lambda step: None):
        self.steps, self.at_step = steps, at_step
        self.calls: list[tuple[RunSettings, bool]] = []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, settings, emit, should_stop, folder, resume=False):
        self.calls.append((settings, resume))
        while not self.go.wait(0.002):
            if should_stop():
                raise TrainingStopped
        asked = settings.model_copy(update={"max_steps": self.steps})
        return trains(asked, emit, should_stop, folder, resume, at_step=self.at_step)


def drive(slices, run_id):
    """One slice to its end; what it told, None where there was none to drive."""
    return list(slices.drive(run_id)) or None


def begin(start_slices, trainer="slowly", asked=RUN, visitor=None, **options):
    """Slices, the queue that trains in them, and a run that has had its first one: its id, what it told."""
    slices, queue = start_slices(trainer, **{"seconds": 0.02, **options})
    (run_id,) = queue.submit([asked], "a", visitor=visitor)
    return slices, queue, run_id, wait_for(lambda: drive(slices, run_id))


def drive_to_the_end(slices, store, run_id):
    wait_for(lambda: not drive(slices, run_id) and store.state(run_id) in FINAL)
