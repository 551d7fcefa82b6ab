"""One slice of a run, on hardware that is lent: from the last checkpoint on, and left at a new one."""

from __future__ import annotations

import pkgutil
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import TypedDict

from cdvft_app.events import Done, Event, Halt, Lent, Note, Step, TrainingPaused
from cdvft_app.settings import RunSettings
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.training.execution import TRAINER, Train, execute
from cdvft_app.training.zero_gpu import is_zero_gpu, take_gpu

EVERY = 1.0  # seconds between two yields, at which a closed page is noticed


@dataclass(frozen=True)
class SliceOrder:
    """What a slice is to do; it can be pickled.

    Args:
        root: the store's folder.
        run_id: a claimed run.
        seconds: of training, loading not counted, so that every slice gets on.
        asked_seconds: for which the hardware is asked, all told.
        trainer: a `Train` by its name.
    """

    root: str
    run_id: str
    seconds: float
    asked_seconds: int
    trainer: str = TRAINER


class SliceNews(TypedDict):
    """Of a slice that goes on: seconds that the run has had of the hardware, in all its slices; of these in
    this one before its first step, None before that; whether the run has ended."""

    lent_seconds: float
    loading_seconds: float | None
    ended: bool


TrainSlice = Callable[[SliceOrder], Generator[SliceNews]]


def train_slice(order: SliceOrder) -> Generator[SliceNews]:
    """Train a claimed run for a while; when the iterator is closed, it leaves at a checkpoint at once.

    Raises:
        StoreError: the outcome cannot be kept.
    """
    if is_zero_gpu():
        take_gpu()
    store = RunStore(order.root)
    run = store.get(order.run_id)
    assert run is not None
    slice_ = _Slice(store, run, order)
    thread = threading.Thread(target=slice_.train, name=f"slice-{run.id}", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            yield slice_.news()
            thread.join(EVERY)
    finally:
        slice_.leave()
        thread.join()
        store.close()
    if slice_.error is not None:
        raise slice_.error
    yield slice_.news()


class _Slice:
    def __init__(self, store: RunStore, run: RunRecord, order: SliceOrder) -> None:
        self._store, self._run, self._order = store, run, order
        self._begun, self._end = time.monotonic(), float("inf")
        self._lent_before = run.result.get("lent_seconds", 0.0)
        self._told = {row["text"] for row in store.rows(run.id, kinds=["note"])[0]}
        self._loading: float | None = None
        self._ended = False
        self.error: Exception | None = None

    def train(self) -> None:
        train = pkgutil.resolve_name(self._order.trainer)
        try:
            execute(self._store, self._run, self._as_part(train), self._halt, self._hear)
            self._ended = True
        except TrainingPaused:
            return
        except Exception as error:
            self.error = error

    def leave(self) -> None:
        self._end = 0.0

    def news(self) -> SliceNews:
        return {
            "lent_seconds": self._lent_seconds(),
            "loading_seconds": self._loading,
            "ended": self._ended,
        }

    def _lent_seconds(self) -> float:
        return self._lent_before + time.monotonic() - self._begun

    def _halt(self) -> Halt:
        return Halt.PAUSE if time.monotonic() > self._end else Halt.NO

    def _hear(self, event: Event) -> None:
        if isinstance(event, Step) and self._loading is None:
            self._loading = time.monotonic() - self._begun
            self._end = min(self._end, time.monotonic() + self._order.seconds)

    def _as_part(self, train: Train) -> Train:
        """Trains as one run, in which nothing is said again that an earlier slice has said."""
        from cdvft_app.training.checkpoints import WENT_ON

        def part(
            settings: RunSettings,
            emit: Callable[[Event], None],
            should_stop: Callable[[], Halt],
            folder: Path,
            resume: bool = False,
        ) -> Done:
            def say(event: Event) -> None:
                if isinstance(event, Note):
                    if event.text in self._told or event.text.startswith(WENT_ON):
                        return
                    self._told.add(event.text)
                if isinstance(event, Done):
                    emit(Lent(self._lent_seconds()))
                emit(event)

            try:
                return train(settings, say, should_stop, folder, resume)
            except Exception:
                emit(Lent(self._lent_seconds()))
                raise

        return part
