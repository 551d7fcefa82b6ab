"""Training that a page drives, a slice at a time, for hardware that is lent for seconds, as ZeroGPU is.

As an executor `Slices` only waits: each event of the page calls `drive`, which trains from the last
checkpoint on and leaves at a new one. In between the run keeps its state, and its supervisor the lease.
"""

from __future__ import annotations

import pkgutil
import queue
import time
from collections.abc import Callable
from contextlib import suppress

from cdvft_app.events import Event, Halt, Step, TrainingPaused
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.training.execution import TRAINER, execute

PAGE_CLOSED = "The page that this run trained through was closed. Resume goes on from the last checkpoint."
TrainSlice = Callable[[str, str, float, str], bool]


def train_slice(root: str, run_id: str, seconds: float, trainer: str = TRAINER) -> bool:
    """Train a claimed run for so many seconds, loading not counted, so that every slice gets on.

    Arguments and result can be pickled, for hardware that calls it in a process of its own.

    Returns:
        Whether the run has ended.

    Raises:
        StoreError: the outcome cannot be kept.
    """
    store = RunStore(root)
    run = store.get(run_id)
    assert run is not None
    end = float("inf")

    def listen(event: Event) -> None:
        nonlocal end
        if isinstance(event, Step):
            end = min(end, time.monotonic() + seconds)

    def should_stop() -> Halt:
        return Halt.PAUSE if time.monotonic() > end else Halt.NO

    try:
        execute(store, run, pkgutil.resolve_name(trainer), should_stop, listen)
    except TrainingPaused:
        return False
    finally:
        store.close()
    return True


class Slices:
    """An executor.

    Args:
        seconds: of training in a slice.
        idle_seconds: without a slice, after which the run ends.
        lend: makes a function run on the lent hardware, as `spaces.GPU` does.
        trainer: a `Train` by its name.
    """

    def __init__(
        self,
        seconds: float = 15.0,
        idle_seconds: float = 60.0,
        lend: Callable[[TrainSlice], TrainSlice] = lambda train: train,
        trainer: str = TRAINER,
    ) -> None:
        self._seconds, self.idle_seconds, self._trainer = seconds, idle_seconds, trainer
        self._train = lend(train_slice)
        self._runs: dict[str, Driven] = {}

    def __call__(self, store: RunStore, run: RunRecord, limit: float | None = None) -> Driven:
        def train() -> bool:
            return self._train(str(store.root), run.id, self._seconds, self._trainer)

        self._runs[run.id] = driven = Driven(train, self.idle_seconds)
        return driven

    def drive(self, run_id: str) -> bool:
        """Train one slice in the caller's time; whether there will be another one to drive."""
        driven = self._runs.get(run_id)
        if driven is None:
            return False
        goes_on = driven.drive()
        if not goes_on:
            self._runs.pop(run_id, None)
        return goes_on


class Driven:
    """The execution of one run in slices; two who drive it at once get one slice."""

    def __init__(self, train: Callable[[], bool], idle_seconds: float) -> None:
        self._train, self._idle_seconds = train, idle_seconds
        self._reason = PAGE_CLOSED
        self._free: queue.SimpleQueue[float] = queue.SimpleQueue()  # while nobody trains: since when
        self._free.put(time.monotonic())
        self._ended: queue.SimpleQueue[None] = queue.SimpleQueue()

    def drive(self) -> bool:
        try:
            self._free.get_nowait()
        except queue.Empty:
            return True  # somebody else's slice, or it has been ended
        try:
            ended = self._train()
        except Exception as error:
            ended, self._reason = True, str(error)
        if ended:
            self._ended.put(None)
        else:
            self._free.put(time.monotonic())
        return not ended

    def wait(self, seconds: float) -> bool:
        with suppress(queue.Empty):
            self._ended.get(timeout=seconds)
            return True
        with suppress(queue.Empty):
            since = self._free.get_nowait()
            if time.monotonic() - since > self._idle_seconds:
                return True  # and nobody can drive it any more
            self._free.put(since)
        return False

    def end(self) -> None:
        """No further slice begins; one that trains leaves when its next event is refused."""
        with suppress(queue.Empty):
            self._free.get_nowait()

    def reason(self) -> str:
        return self._reason
