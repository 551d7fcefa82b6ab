"""Training that a page drives, a slice at a time, for hardware that is lent for seconds, as ZeroGPU is.

As an executor `Slices` only waits: each event of the page calls `drive`, which trains from the last
checkpoint on and leaves at a new one. In between the run keeps its state, and its supervisor the lease.
"""

from __future__ import annotations

import math
import os
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Any

from typing_extensions import TypedDict

from cdvft_app.catalog import libraries
from cdvft_app.errors import UserError
from cdvft_app.events import Done, Event, Halt, Lent, Note, Preparing, Step
from cdvft_app.executors.base import Executor, SaidNotes
from cdvft_app.public.budget import Budget
from cdvft_app.settings import RunSettings
from cdvft_app.store.leases import PROGRAM_ENDED
from cdvft_app.store.records import LENT, LeaseLost, RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import RunState
from cdvft_app.training.checkpoints import RESUME, RESUMED_FROM
from cdvft_app.training.children import messages
from cdvft_app.training.device import is_zero_gpu, take_gpu
from cdvft_app.training.run import (
    TRAINER,
    StopConditions,
    Train,
    end_run,
    out_of_time,
    train_run,
)

YIELD_SECONDS = 1.0  # between two yields of a slice, at which a closed page is noticed
FIRST_LOADING = 15.0  # seconds, allowed for before a slice has told
RELOAD_SECONDS = 20.0  # until a page that was closed may have been loaded again
SPARE_SECONDS = 5.0  # to end a step, and to write a checkpoint
MIN_SECONDS = 5.0  # of training, for which a slice is worth its loading
FORECAST_TOLERANCE = 1.3  # so much longer than forecast a slice, or its loading, may be
PAGE_CLOSED = f"Paused, because the page that this run trained through was closed. {RESUME}"


Fetch = Callable[[str, RunSettings], Generator[Preparing | None]]


def fetch(root: str, settings: RunSettings) -> Generator[Preparing | None]:
    """Load model and data beside the page, in a process that leaves what it fetched in the caches.

    So a lent GPU waits for no download.

    Args:
        root: the store's folder, where uploaded datasets lie.
        settings: of the run.

    Raises:
        DownloadFailed, InvalidInput: as in training, in a sentence for the run's owner.
        ChildEnded: the process was killed.
    """
    return messages(_load, root, settings, every=YIELD_SECONDS)


def _load(send: Callable[[Preparing], None], root: str, settings: RunSettings) -> None:
    os.environ["RUNS_DIR"] = root

    from cdvft_app.catalog import resolve
    from cdvft_app.progress import never
    from cdvft_app.tasks.prepare import prepare

    prepare(resolve(settings), lambda fraction, text: send(Preparing(text, fraction)), never)


@dataclass(frozen=True)
class SliceOrder:
    """The order for one slice; it can be pickled.

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
    """The news of a slice that goes on.

    `lent_seconds`: that the run has had of the hardware, in all its slices. `loading_seconds`: of these in
    this slice, before its first step; None until that is made. `ended`: whether the run has ended.
    """

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
    run = store.require(order.run_id)
    slice_ = _Slice(store, run, order)
    thread = threading.Thread(target=slice_.train, name=f"slice-{run.id}", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            yield slice_.news()
            thread.join(YIELD_SECONDS)
    finally:
        slice_.leave()
        thread.join()
        store.close()
    if slice_.error is not None:
        raise slice_.error
    yield slice_.news()


class _Slice(StopConditions):
    """One slice: pauses the run when its seconds are over, or when it is told to leave."""

    def __init__(self, store: RunStore, run: RunRecord, order: SliceOrder) -> None:
        super().__init__()
        self._store, self._run, self._order = store, run, order
        self._begun, self._end = time.monotonic(), float("inf")
        self._lent_before = run.result.get("lent_seconds", 0.0)
        self._notes = SaidNotes(store, run)
        self._loading: float | None = None
        self._ended = False
        self.error: Exception | None = None

    def train(self) -> None:
        train = libraries.resolve(self._order.trainer)
        try:
            self._ended = train_run(self._store, self._run, self._as_part(train), self, self._hear)
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

    def __call__(self) -> Halt:
        return Halt.PAUSE if time.monotonic() > self._end else Halt.NO

    def _hear(self, event: Event) -> None:
        if isinstance(event, Step) and self._loading is None:
            self._loading = time.monotonic() - self._begun
            self._end = min(self._end, time.monotonic() + self._order.seconds)

    def _as_part(self, train: Train) -> Train:
        """Trains as one run, in which nothing is said again that an earlier slice has said."""

        def part(settings: RunSettings, emit: Callable[[Event], None], *others: Any, **options: Any) -> Done:
            def say(event: Event) -> None:
                if isinstance(event, Note) and (
                    event.text.startswith(RESUMED_FROM) or not self._notes.is_first(event)
                ):
                    return
                if isinstance(event, Done):
                    emit(Lent(self._lent_seconds()))
                emit(event)

            try:
                return train(settings, say, *others, **options)
            except Exception:
                emit(Lent(self._lent_seconds()))
                raise

        return part


class NotLent(UserError):
    """The hardware was refused or taken away; the text is for the run's owner.

    `again`: the same may go well at once, with more seconds. `left`: so many seconds may be had instead.
    """

    def __init__(self, sentence: str, again: bool = False, left: int | None = None) -> None:
        super().__init__(sentence)
        self.again, self.left = again, left


class Slices(Executor):
    """Trains each run in slices, which a page asks for.

    Args:
        seconds: of training in a slice, at most.
        idle_seconds: after which a run is paused that no page asks for.
        lend: makes a function run on the lent hardware, as `spaces.GPU` does; it may raise `NotLent`.
        fetch: loads what a run needs before its first slice; None: the slice does.
        trainer: a `Train` by its name.
    """

    is_page_driven = True

    def __init__(
        self,
        seconds: float = 15,
        idle_seconds: float = 120.0,
        lend: Callable[[TrainSlice], TrainSlice] = lambda train: train,
        fetch: Fetch | None = None,
        trainer: str = TRAINER,
    ) -> None:
        self._seconds, self.idle_seconds, self._trainer = seconds, idle_seconds, trainer
        self._train, self._fetch = lend(train_slice), fetch
        self._fetched: set[tuple[object, ...]] = set()
        self._loading = FIRST_LOADING
        self.closing = False  # the program ends: what waits for a slice gets no other
        self._runs: dict[str, SlicedRun] = {}

    def start(self, store: RunStore, run: RunRecord, limit: float | None = None) -> SlicedRun:
        self._runs[run.id] = sliced = SlicedRun(store, run, self, limit)
        return sliced

    def runs_at_once(self) -> int:
        return 16  # a worker only waits for one

    def close(self) -> None:
        self.closing = True

    def due(self, run_ids: Iterable[str]) -> str | None:
        """Return the first of these runs that waits for a slice. Whoever asks is a page that could drive
        them."""
        found = None
        for run_id in run_ids:
            sliced = self._runs.get(run_id)
            if sliced is not None and sliced.is_due() and found is None:
                found = run_id
        return found

    def lent_seconds(self, run_id: str) -> float | None:
        """Return the seconds that a run which trains has had of the hardware; None for any other one."""
        sliced = self._runs.get(run_id)
        return sliced.lent_seconds if sliced is not None else None

    def drive(self, run_id: str) -> Generator[SliceNews]:
        """Train one slice in the caller's time; closing the iterator leaves it at a checkpoint."""
        sliced = self._runs.get(run_id)
        if sliced is not None:
            yield from sliced.drive()

    def fetch(self, root: str, run: RunRecord) -> Generator[Preparing | None]:
        """Yield what is told while all that the run needs is loaded for the first time here."""
        chosen = run.settings
        what = (chosen.recipe, chosen.model, chosen.dataset, chosen.dataset_revision, chosen.data)
        if self._fetch is None or what in self._fetched:
            return
        with closing(self._fetch(root, chosen)) as events:
            yield from events
        self._fetched.add(what)

    def order(self, run: RunRecord, more: float = 1.0, most: float = math.inf) -> SliceOrder:
        """Return the next slice of a run, with the hardware for `more` times as long as it seems to need.

        `most` seconds of it can be had; the slice is then as short as it must.
        """
        evaluating = (run.forecast or {}).get("evaluating") or {"seconds": 0.0, "last_seconds": 0.0}
        beside = FORECAST_TOLERANCE * (self._loading + evaluating["seconds"] + evaluating["last_seconds"])
        left = FORECAST_TOLERANCE * seconds_left(run) + 1
        seconds = min(self._seconds, left, most - more * beside - SPARE_SECONDS)
        asked = math.ceil(more * (FORECAST_TOLERANCE * seconds + beside) + SPARE_SECONDS)
        return SliceOrder("", run.id, seconds, int(min(asked, most)), self._trainer)

    def train(self, order: SliceOrder) -> Generator[SliceNews]:
        # The fork has what its parent has imported, and waits for ever for an import that was under way.
        libraries.load()
        libraries.resolve(self._trainer)
        with closing(self._train(order)) as news:
            for one in news:
                if one["loading_seconds"] is not None:
                    self._loading = one["loading_seconds"]
                yield one

    def forget(self, run_id: str, sliced: SlicedRun) -> None:
        """Remove an ended execution; a resumed run may already have another one under the same id."""
        if self._runs.get(run_id) is sliced:
            del self._runs[run_id]


def seconds_left(run: RunRecord) -> float:
    """Return the seconds of training that are left: at the run's own pace, else by its forecast, else
    infinity."""
    if run.seconds and run.step and run.total_steps:
        return run.seconds / run.step * (run.total_steps - run.step)
    promised = (run.forecast or {}).get("seconds")
    return promised["high"] if promised else math.inf


class SlicedRun:
    """The execution of one run in slices; two who drive it at once get one slice."""

    def __init__(self, store: RunStore, run: RunRecord, slices: Slices, limit: float | None = None) -> None:
        self._store, self._run, self._slices, self._limit = store, run, slices, limit
        self._reason = PAGE_CLOSED
        self._more, self._most, self._taken_away = 1.0, math.inf, False
        self._asked_for, self._patience = time.monotonic(), slices.idle_seconds  # by a page, and until it is
        self._free: queue.SimpleQueue[None] = queue.SimpleQueue()  # holds one while nobody trains
        self._free.put(None)
        self._ended: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.lent_seconds: float = run.result.get(LENT, 0.0)
        self._charged = self._lent_before = self.lent_seconds
        with suppress(LeaseLost):
            store.append(run.id, Lent(self.lent_seconds), run.epoch)  # so that no waiting is charged

    def is_due(self) -> bool:
        self._asked_for, self._patience = time.monotonic(), self._slices.idle_seconds
        return not self._free.empty()

    def drive(self) -> Generator[SliceNews]:
        try:
            self._free.get_nowait()
        except queue.Empty:
            return  # somebody else's slice, or it has been ended
        run = self._store.get(self._run.id) or self._run
        root, ended = str(self._store.root), False
        try:
            self._require_time()
            with closing(self._slices.fetch(root, run)) as events:
                for event in events:
                    if event is not None:
                        self._store.append(run.id, event, self._run.epoch)
                    yield {"lent_seconds": self.lent_seconds, "loading_seconds": None, "ended": False}
            order = self._slices.order(run, self._more, self._most)
            order = replace(order, root=root, seconds=min(order.seconds, self._left()))
            with closing(self._slices.train(order)) as slice_:
                for news in slice_:
                    self.lent_seconds, ended = news["lent_seconds"], news["ended"]
                    yield news
            self._taken_away = False
        except GeneratorExit:
            self._patience = min(RELOAD_SECONDS, self._slices.idle_seconds)
            raise
        except NotLent as refused:
            ended = not self._goes_on(refused)
        except Exception as error:
            ended, self._reason = True, str(error)
        finally:
            self._charge()
            self._asked_for = time.monotonic()
            (self._ended if ended else self._free).put(None)

    def _left(self) -> float:
        """Return the seconds that the run may still have of the hardware."""
        own = math.inf if self._limit is None else self._lent_before + self._limit - self.lent_seconds
        of_visitor = Budget(self._store).left(self._run.visitor)
        return own if of_visitor is None else min(own, of_visitor)

    def _require_time(self) -> None:
        if self._limit is not None and self._left() <= 0:
            raise NotLent(out_of_time(self._limit))

    def _charge(self) -> None:
        """Count the hardware's seconds for the run's visitor, and not those of its waiting."""
        if self._run.visitor is not None and self.lent_seconds > self._charged:
            self._store.spending.charge(self._run.visitor, "training", self.lent_seconds - self._charged)
        self._charged = self.lent_seconds

    def _goes_on(self, refused: NotLent) -> bool:
        """Return whether a slice of the run may be tried again; else it is paused."""
        with suppress(LeaseLost):
            self._store.append(self._run.id, Lent(self.lent_seconds), self._run.epoch)
        if refused.again and not self._taken_away:
            self._more, self._taken_away = 2 * self._more, True
            return True
        if refused.left is not None and math.isinf(self._most):
            run = self._store.get(self._run.id) or self._run
            if self._slices.order(run, self._more, refused.left).seconds >= MIN_SECONDS:
                self._most = refused.left
                return True
        self._pause(str(refused))
        return False

    def _pause(self, reason: str) -> None:
        state: RunState = "stopped" if self._store.state(self._run.id) == "stopping" else "interrupted"
        end_run(self._store, self._run, state, reason)

    def poll(self, seconds: float) -> bool:
        with suppress(queue.Empty):
            self._ended.get(timeout=seconds)
            self._slices.forget(self._run.id, self)
            return True
        if self._slices.closing or time.monotonic() - self._asked_for > self._patience:
            with suppress(queue.Empty):
                self._free.get_nowait()  # and nobody can drive it any more
                self._pause(PROGRAM_ENDED if self._slices.closing else PAGE_CLOSED)
                self._slices.forget(self._run.id, self)
                return True
        return False

    def stop(self) -> None:
        """No further slice begins; one that trains leaves when its next event is refused."""
        with suppress(queue.Empty):
            self._free.get_nowait()
        self._slices.forget(self._run.id, self)

    def reason(self) -> str:
        return self._reason
