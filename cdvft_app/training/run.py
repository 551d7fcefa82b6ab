"""One run, from its lease to its final state: the only way in which a run is trained, wherever that is.

A child of the page, the processes of `accelerate launch`, a slice, a terminal and a Job of the hub all call
`train_run`. It works under the epoch of the run's lease, goes on from the last checkpoint, tells the store
every event, asks the `StopConditions` at every step, and ends in a state with a reason, whatever happens.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from cdvft_app.catalog import libraries
from cdvft_app.errors import UserError
from cdvft_app.events import Done, Event, Halt, TrainingPaused, TrainingStopped
from cdvft_app.files import is_full
from cdvft_app.public.budget import Budget
from cdvft_app.search import study
from cdvft_app.settings import RunSettings
from cdvft_app.settings.environment import environment
from cdvft_app.store import leases
from cdvft_app.store.leases import PROGRAM_ENDED
from cdvft_app.store.processes import alive, this_process
from cdvft_app.store.records import LeaseLost, RunRecord, StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import RunState
from cdvft_app.training import data_parallel
from cdvft_app.training.checkpoints import RESUME
from cdvft_app.training.inference_service import message_of
from cdvft_app.training.schedule import processes

TRAINER = "cdvft_app.training.trainer:train"
"""A `Train` by its name, so that whoever hands it on need not import torch."""
ERROR_FILE = "error.txt"  # in the run's folder: the traceback behind the reason
NOT_BEGUN = "Stopped before the first step."
OUT_OF_MEMORY = (
    "This machine ran out of memory. Lower the batch size, or the length or size of the inputs, "
    "or choose a smaller model; then start again."
)
DISK_FULL = f"The disk is full. As soon as there is room, {RESUME}"
READ_ONLY = f"The disk cannot be written any more. As soon as it can, {RESUME}"
OTHER_ENDED = (
    "A process of this data-parallel run ended, most likely because memory ran out. Lower the batch size, "
    f"or the length or size of the inputs; {RESUME}"
)
BUDGET_SECONDS = 1.0  # between two looks at what a visitor has left
REPEATED_SIGNAL_SECONDS = 1.0  # a launcher repeats a terminal's Ctrl-C at once; a person takes longer
MIN_PATIENCE, UNKNOWN_PATIENCE = 120.0, 600.0  # seconds; of a run of which nothing was promised
MAX_PATIENCE = 30 * 86_400.0  # seconds; whatever a forecast says, a system's alarm can wait so long
PATIENT_STEPS, PATIENT_EVALUATIONS = 10, 3
ALARM_SECONDS = 30  # beyond the patience of the supervisor, who can say why

StateAndReason = tuple[RunState, str]
"""The state in which a run ended, and the reason."""


class Train(Protocol):
    """`cdvft_app.training.trainer.train`, or what stands in for it."""

    def __call__(
        self,
        settings: RunSettings,
        emit: Callable[[Event], None],
        should_stop: Callable[[], Halt],
        folder: Path,
        resume: bool = False,
    ) -> Done: ...


class StopConditions:
    """Decides at every step whether a run stops or pauses, beside a stop that the store was asked for.

    Args:
        limit: seconds after which the run fails, with a checkpoint; None: it may take as long as it needs.
        asked: a further condition.

    Attributes:
        outcome: of a run that was paused; None: the run has not ended, and goes on another time.
    """

    outcome: StateAndReason | None = None

    def __init__(self, limit: float | None = None, asked: Callable[[], Halt] = lambda: Halt.NO) -> None:
        self._limit, self._asked, self._since = limit, asked, time.monotonic()

    def __call__(self) -> Halt:
        if self._limit is not None and time.monotonic() - self._since > self._limit:
            self.outcome = ("failed", out_of_time(self._limit))
            return Halt.PAUSE
        return self._asked()


class ChildStopConditions(StopConditions):
    """The conditions of a process that is supervised: also SIGTERM, the supervisor's death, and the visitor's
    budget.

    A process that does not ask for too long hangs, perhaps in native code where no signal handler of Python's
    runs, and perhaps with nobody left who watches: the system ends it.
    """

    def __init__(self, store: RunStore, run: RunRecord, limit: float | None) -> None:
        super().__init__(limit)
        self._budget, self._visitor, self._next_look = Budget(store), run.visitor, 0.0
        self._supervisor, self._terminated = run.process, False
        self._alarm = round(patience(run.forecast)) + ALARM_SECONDS
        signal.signal(signal.SIGTERM, self._on_signal)

    def __call__(self) -> Halt:
        if hasattr(signal, "alarm"):
            signal.alarm(self._alarm)
        if halt := super().__call__():
            return halt
        if refused := self._over_budget():
            self.outcome = ("failed", f"{refused} {RESUME}")
            return Halt.PAUSE
        if self._terminated or alive(self._supervisor) is False:
            self.outcome = ("interrupted", PROGRAM_ENDED)
            return Halt.PAUSE
        return Halt.NO

    def _over_budget(self) -> str | None:
        """Return why its visitor's runs, which share what is left if they train at the same time, may not go
        on."""
        now = time.monotonic()
        if self._visitor is None or now < self._next_look:
            return None
        self._next_look = now + BUDGET_SECONDS
        return self._budget.exhausted(self._visitor)

    def _on_signal(self, number: int, frame: Any) -> None:
        self._terminated = True


def train_run(
    store: RunStore,
    run: RunRecord,
    train: Train | str,
    stop: StopConditions,
    listen: Callable[[Event], None] = lambda event: None,
) -> bool:
    """Train a run, in this process, as long as its lease is the one that `run` was given out with.

    Args:
        store: hears every event, and says whether somebody asked the run to stop.
        run: in state `preparing`; one that has made steps before goes on from its last checkpoint.
        train: does the work; or its name, "module:function", which is imported here.
        stop: further reasons to stop or to pause.
        listen: hears every event after the store.

    Returns:
        Whether it has come to an end here; else it was paused, and goes on from its checkpoint another time.

    Raises:
        StoreError: the outcome cannot be kept; the run's state is not final.
        KeyboardInterrupt: passed on; the run is `interrupted`.
    """
    folder, lost = store.folder(run.id), False
    pruning = study.Pruning(store, run)

    def emit(event: Event) -> None:
        nonlocal lost
        try:
            store.append(run.id, event, run.epoch)
        except LeaseLost:  # what is left to do is to keep a checkpoint
            lost = True
        else:
            listen(event)
            if note := pruning.see(event):
                emit(note)

    def should_stop() -> Halt:
        if lost:
            return Halt.PAUSE
        asked = pruning.is_pruned or store.state(run.id) == "stopping"
        return stop() or (Halt.STOP if asked else Halt.NO)

    data_parallel.lead(run, folder)
    try:
        store.make_folder(run.id)
        (folder / ERROR_FILE).unlink(missing_ok=True)
        work = libraries.resolve(train) if isinstance(train, str) else train
        work(run.settings, emit, should_stop, folder, resume=run.step > 0)
    except TrainingStopped:
        end_run(store, run, "stopped", NOT_BEGUN)
    except TrainingPaused:
        if stop.outcome is not None:
            end_run(store, run, *stop.outcome)
        elif not lost:
            return False
    except KeyboardInterrupt:
        end_run(store, run, "interrupted", "Interrupted before it could end properly.")
        raise
    except BaseException as error:
        # Also SystemExit: a library that wants to leave must not take the run's end along.
        with suppress(OSError):  # the reason matters more
            (folder / ERROR_FILE).write_text("".join(traceback.format_exception(error)))
        end_run(store, run, "failed", reason(error))
    data_parallel.disconnect()
    return True


def end_run(store: RunStore, run: RunRecord, state: RunState, why: str) -> None:
    """Keep the end of a run, unless its lease has ended: whoever ended that has said why."""
    with suppress(LeaseLost):
        store.set_state(run.id, state, why, epoch=run.epoch)


def reason(error: BaseException) -> str:
    """Return the reason of a run's end by this error, in a sentence for its owner."""
    if isinstance(error, UserError):
        return str(error)
    if is_full(error):
        return DISK_FULL
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        return READ_ONLY
    if isinstance(error, MemoryError):
        return OUT_OF_MEMORY
    if processes() > 1 and any(name in str(error) for name in ("gloo", "NCCL")):  # what connects them
        return OTHER_ENDED
    return f"Training ended unexpectedly with {type(error).__name__}: {message_of(error, 300)}"


def out_of_time(limit: float) -> str:
    return (
        f"Stopped after {limit:.0f} seconds, the limit of this server. Fewer steps, fewer examples or a "
        f"smaller model take less; {RESUME}"
    )


def patience(forecast: Mapping[str, Any] | None) -> float:
    """Return the seconds without an event after which a run is taken to hang.

    Ten steps, or three evaluations, each as slow as the forecast allows; at least two minutes, and a month
    at the most. Ten minutes for a run of which the forecast does not say that.
    """
    if not forecast or not forecast.get("seconds") or not forecast.get("counted"):
        return UNKNOWN_PATIENCE
    counted, slowest = forecast["counted"], forecast["seconds"]["high"]
    evaluating = slowest * counted["evaluation_flops"] / counted["training_flops"]
    times = counted.get("evaluations", 1)  # which earlier versions do not say
    needed = max(
        MIN_PATIENCE,
        PATIENT_STEPS * slowest / counted["steps"],
        PATIENT_EVALUATIONS * evaluating / times,
    )
    return min(needed, MAX_PATIENCE)


@contextmanager
def renewing(store: RunStore, run: RunRecord) -> Iterator[None]:
    """Renew the lease of `run` until the end of the block; a full disk now and then does no harm."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(leases.RENEWAL_SECONDS):
            try:
                store.leases.renew(run.id, run.epoch)
            except LeaseLost:
                return  # what the training writes next is refused
            except StoreError:
                continue

    thread = threading.Thread(target=renew, name=f"lease-{run.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


# In a terminal, and in a Job


def run_here(
    store: RunStore, take: Callable[[RunStore], RunRecord], listen: Callable[[Event], None]
) -> RunRecord:
    """Train one run to its end in this process, the first of those that share it; Ctrl-C stops it.

    With CDVFT_MAX_RUN_SECONDS one that takes longer fails, and can be resumed from its last checkpoint.

    Args:
        store: keeps the run; only the first process writes.
        take: makes or takes up the run, in state `preparing`; it skips the queue.
        listen: hears the run's events.

    Returns:
        The run as it ended.

    Raises:
        InvalidChoice: a variable of the environment is not valid.
    """
    environment()  # refuses what means nothing before a run is made
    with stop_signals() as asked:  # around the slow import as well
        run = take(store)
        with renewing(store, run):
            train_run(store, run, TRAINER, StopConditions(environment().max_run_seconds, asked), listen)
        return store.require(run.id)


def run_as_worker() -> None:
    """Do what `run_here` does in a process that is not the first."""
    with stop_signals() as asked:
        data_parallel.follow(asked, TRAINER)


@contextmanager
def stop_signals() -> Iterator[Callable[[], Halt]]:
    """Gives a condition: STOP after Ctrl-C or SIGTERM. Ctrl-C once more interrupts at once."""
    since: list[float] = []

    def ask(number: int, frame: Any) -> None:
        if number == signal.SIGINT and since and time.monotonic() - since[0] > REPEATED_SIGNAL_SECONDS:
            raise KeyboardInterrupt
        since.append(time.monotonic())

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: Halt.STOP if since else Halt.NO
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# In a process that a supervisor has started


def work(root: str, run_id: str, limit: float | None = None, trainer: str = TRAINER) -> None:
    """Train the run, which a supervisor has claimed, to its end.

    Args:
        root: the store's folder.
        run_id: in state `preparing`.
        limit: seconds after which it fails, with a checkpoint.
        trainer: a `Train` by its name, "module:function".

    Raises:
        StoreError: the outcome cannot be kept.
    """
    store, run = join_run(root, run_id)
    train_run(store, run, trainer, ChildStopConditions(store, run, limit))


def join_run(root: str, run_id: str) -> tuple[RunStore, RunRecord]:
    """Open the store in the folder `root`, and have this process hold the lease of a claimed run."""
    os.environ["RUNS_DIR"] = root  # uploaded datasets lie there
    store = RunStore(root)
    run = store.require(run_id)
    store.leases.join(run.id, run.epoch, this_process())
    return store, run
