"""Where runs train: the contract of every place, supervision from outside, and the processes of this machine.

A run that somebody claimed is in state `preparing`, under a lease with an epoch. An executor starts work on
it and gives an `Execution` to watch. Settings, folder, lease and checkpoints are in the store, under the
run's id; what trains writes every event there under the epoch, so that work which was given up, or comes
late, is refused once another holds the run. The outcome is written there, too, unless the work ends before it
can say.

A place on another machine spools a run's events there, and `RemoteExecution` brings them into the store.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, Protocol

from cdvft_app.errors import UserError
from cdvft_app.events import ADAPTER, Done, Event, Note, Preparing
from cdvft_app.search import study
from cdvft_app.store.database import store_errors
from cdvft_app.store.leases import PROGRAM_ENDED, interruption
from cdvft_app.store.records import LeaseLost, RunRecord, StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import STOPPABLE
from cdvft_app.training import checkpoints
from cdvft_app.training.checkpoints import CHECKPOINTS, RESUME
from cdvft_app.training.children import Child, silence_sentence
from cdvft_app.training.run import (
    TRAINER,
    StateAndReason,
    end_run,
    out_of_time,
    patience,
    renewing,
    work,
)

INCOMING = "incoming"  # in the run's folder
KEPT_CHECKPOINTS = 2
POLL_SECONDS = 0.5  # between two looks at the store; the end of a process is seen at once
CLOSING_SECONDS = 30.0
DID_NOT_STOP = "It did not stop when asked and was ended. What it had at its last checkpoint is kept."
STATUS_SECONDS = 30.0  # between two words of one that waits for its machine
MAX_EVENTS = 100_000  # of a run on another machine, which whoever has that could fill with anything
MAX_REFUSALS = 3


log = logging.getLogger(__name__)


class Execution(Protocol):
    """Work on one run, somewhere."""

    def poll(self, seconds: float) -> bool:
        """Return whether it has ended, after waiting up to so many seconds."""
        ...

    def stop(self) -> None:
        """End it at once, whatever it does; returns when it is gone."""
        ...

    def reason(self) -> str:
        """Return why it ended without an outcome in the store, in a sentence for the run's owner."""
        ...


class Executor(ABC):
    """A place where runs train."""

    is_remote: ClassVar[bool] = False
    """It is another machine: a run may be silent there for as long as it likes, and goes on when the program
    ends that follows it."""
    is_owners: ClassVar[bool] = False
    """Its owner pays for it: neither limits nor budgets of this server count there."""
    is_page_driven: ClassVar[bool] = False
    """A page drives each run, which waits in between: its limit counts the times of training alone, and each
    owner trains one run at a time."""

    @abstractmethod
    def start(self, store: RunStore, run: RunRecord, limit: float | None = None) -> Execution:
        """Start work on a claimed run, which pauses itself after so many seconds, if any.

        On another machine the same run may be there already, as work goes on when the program ends that
        follows it: then that work is followed, under the new epoch, and none is started beside it.
        """

    def runs_at_once(self) -> int:
        """Return how many runs train at the same time now, unless CDVFT_WORKERS says otherwise."""
        return 1

    def left(self, store: RunStore) -> list[RunRecord]:
        """Return runs that may have gone on there when the program ended that followed them: `start` follows
        them again."""
        return []

    def require_resumable(self, run: RunRecord) -> None:
        """Refuse a run that `start` cannot go on with: here all but those that ended early, on this machine.

        Raises:
            IllegalTransition: with a sentence.
        """
        run.require_resumable()

    def close(self) -> None:  # noqa: B027 (most have nothing to do)
        """Begin nothing further, as the program ends."""


def supervise(
    store: RunStore,
    run: RunRecord,
    executor: Executor,
    limit: float | None = None,
    closing: Callable[[], bool] = lambda: False,
) -> StateAndReason:
    """Have a claimed run trained, keep its lease, and wait until whatever trains it is gone.

    Args:
        store: where the run says what it does.
        run: in state `preparing`.
        executor: where it trains.
        limit: seconds that it may take; None: as many as it needs.
        closing: whether the program ends: the run has to, too, unless it is on another machine.

    Returns:
        The state and the reason that the run has, unless it has told the store an end of its own.
    """
    with renewing(store, run):
        execution = executor.start(store, run, limit)
        watch = _Watch(store, run, None if executor.is_page_driven else limit)
        while not execution.poll(POLL_SECONDS):
            if executor.is_remote:
                if closing():
                    return "interrupted", interruption((store.get(run.id) or run).result)
                continue
            with suppress(StoreError):  # a busy or full disk says nothing of the run
                if overdue := watch.overdue(closing()):
                    execution.stop()
                    return overdue
        return "failed", execution.reason()


def train_to_end(
    store: RunStore,
    run: RunRecord,
    executor: Executor,
    limit: float | None = None,
    closing: Callable[[], bool] = lambda: False,
) -> None:
    """`supervise` a claimed run, and keep how it ended, whatever becomes of the work."""
    try:
        outcome = supervise(store, run, executor, limit, closing)
    except Exception as error:  # such as no process to be had, or a hub that refuses it, in a sentence
        if not executor.is_owners:
            log.exception("A run could not be trained.", extra={"run_id": run.id})
        outcome = "failed", str(error)
    settle(store, run, outcome, closing)


def settle(
    store: RunStore, run: RunRecord, outcome: StateAndReason, closing: Callable[[], bool] = lambda: False
) -> None:
    """Try until the disk takes a run's end; meanwhile it is shown, so that no dead run looks alive."""
    state, reason = outcome
    while True:
        try:
            store.set_state(run.id, state, reason, epoch=run.epoch)
            break
        except LeaseLost:
            break  # it has told its end
        except StoreError as refused:
            store.show_end(run.id, state, reason if str(refused) in reason else f"{reason} {refused}")
        if closing():
            break
        time.sleep(POLL_SECONDS)
    store.forget_end(run.id)


class _Watch:
    """Knows when a run last wrote an event, and since when it has been asked to stop."""

    def __init__(self, store: RunStore, run: RunRecord, limit: float | None) -> None:
        self._store, self._id, self._limit = store, run.id, limit
        self._patience = patience(run.forecast)
        self._started = self._last_event = time.monotonic()
        self._cursor = 0
        self._stopping_since: float | None = None  # time.monotonic()
        self._closing_since: float | None = None  # time.monotonic()

    def overdue(self, closing: bool) -> StateAndReason | None:
        """Return why the run has to be ended now, and in what state; None while it may go on."""
        now, state = time.monotonic(), self._store.state(self._id)
        if closing and self._closing_since is None:
            self._closing_since = now
            if state in STOPPABLE:
                self._store.ask_to_stop(self._id)
        if state == "stopping" and self._stopping_since is None:
            self._stopping_since = now
        before, self._cursor = self._cursor, self._store.last_row(self._id)
        if self._cursor != before:
            self._last_event = now
        if self._closing_since is not None and now - self._closing_since > CLOSING_SECONDS:
            return "interrupted", PROGRAM_ENDED
        if self._stopping_since is not None and now - self._stopping_since > self._patience:
            return "stopped", DID_NOT_STOP
        if self._limit is not None and now - self._started > self._limit + self._patience:
            return "failed", out_of_time(self._limit)
        if now - self._last_event > self._patience:
            return "failed", f"{silence_sentence(self._patience)} {RESUME}"
        return None


class LocalProcesses(Executor):
    """Train each run in a child process of its own.

    Args:
        trainer: Import path of a `Train`.
    """

    def __init__(self, trainer: str = TRAINER) -> None:
        self._trainer = trainer

    def start(self, store: RunStore, run: RunRecord, limit: float | None = None) -> Execution:
        return Child(work, str(store.root), run.id, limit, self._trainer)


@dataclass(frozen=True)
class Pulled:
    """The news of a run on another machine since the event that was asked for.

    Args:
        events: in the order in which they were told.
        last: the number of the latest, to ask with next.
        saying: what the machine says before it trains, for the run's owner.
        files: files and folders of the run's folder that came with the events, by their names in it.
        ended: how the work ended; None: it goes on.
        why: it ended before it was completed, for the run's owner.
    """

    events: Sequence[Event]
    last: int
    saying: str
    files: Sequence[str] = ()
    ended: Literal["completed", "cancelled", "failed", "interrupted"] | None = None
    why: str = ""


class NoNews(Exception):
    """The other machine tells nothing at the moment; the run goes on there."""


class RemoteRefused(UserError):
    """The other machine tells nothing more of a run, if it says so repeatedly; the text says where the run is
    to be found."""


class RemoteRun(Protocol):
    """A run on another machine, known there by a name that an event of the run keeps.

    Its events are spooled there under rising numbers until its follower has kept its end. So whoever follows
    it anew begins at 0: the store puts a step that comes again in the place of the rows from that step on,
    and a note that was kept is not kept twice.
    """

    pull_seconds: float
    """Between two pulls."""

    def pull(self, after: int, into: Path) -> Pulled:
        """Return what it has told after the event of this number, and put its files `into` that folder,
        whole.

        A file or folder that the caller did not take out of there comes again.

        Raises:
            NoNews, RemoteRefused: nothing can be had.
        """
        ...

    def cancel(self) -> None:
        """Ask it to end. Raises NoNews, RemoteRefused: it could not be told."""
        ...

    def release(self) -> None:
        """Let go of what is spooled there, as the end of the run is kept here."""
        ...


class SaidNotes:
    """The notes of a run that are kept, so that work which begins anew says none of them again."""

    def __init__(self, store: RunStore, run: RunRecord) -> None:
        self._texts = {row["text"] for row in store.rows(run.id, kinds=["note"])[0]}

    def is_first(self, note: Note) -> bool:
        """Return whether nobody has said the note yet; from now on somebody has."""
        is_first = note.text not in self._texts
        self._texts.add(note.text)
        return is_first


class RemoteExecution:
    """Pulls a run's events from another machine into the store, and its files into the run's folder."""

    def __init__(self, store: RunStore, run: RunRecord, remote: RemoteRun) -> None:
        self._store, self._run, self._remote = store, run, remote
        self._last = self._events = self._refusals = 0
        self._looked = self._said = 0.0  # time.monotonic()
        self._notes = SaidNotes(store, run)
        self._pruning = study.Pruning(store, run)  # which knows the search's other trials
        self._done: Done | None = None
        self._cancelled = False
        self._reason = ""

    def poll(self, seconds: float) -> bool:
        time.sleep(seconds)
        if time.monotonic() - self._looked < self._remote.pull_seconds:
            return False
        self._looked = time.monotonic()
        try:
            return self._look()
        except (NoNews, StoreError):  # a full disk, too, takes it another time
            return False
        except RemoteRefused as refused:
            self._refusals += 1
            if self._refusals < MAX_REFUSALS:
                return False
            end_run(self._store, self._run, "interrupted", str(refused))
            return True

    def _look(self) -> bool:
        if self._pruning.is_pruned or self._store.state(self._run.id) == "stopping":
            self._cancel()
        folder = self._store.make_folder(self._run.id)
        pulled = self._remote.pull(self._last, folder / INCOMING)
        self._refusals = 0
        with suppress(LeaseLost):
            for name in pulled.files:
                self._place(folder, name)
            self._keep(pulled)
            if pulled.ended:
                self._end(pulled, folder)
                self._remote.release()
                return True
            if self._store.state(self._run.id) == "preparing":
                self._say(pulled.saying)
            return False
        return True  # another attempt has the run now

    def _place(self, folder: Path, name: str) -> None:
        """Put a file or folder that came in the place of the one before, and remove older checkpoints."""
        place = folder / name
        with store_errors(place):
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if place.is_dir():
                shutil.rmtree(place)
            os.replace(folder / INCOMING / name, place)
        if place.parent.name == CHECKPOINTS:
            for older in checkpoints.in_order(place.parent)[:-KEPT_CHECKPOINTS]:
                shutil.rmtree(older, ignore_errors=True)

    def _keep(self, pulled: Pulled) -> None:
        for event in pulled.events:
            if isinstance(event, Done):
                self._done = event  # the run ends once its adapter is here
                continue
            if isinstance(event, Note) and not self._notes.is_first(event):
                continue
            self._events += 1
            if self._events <= MAX_EVENTS:
                self._append(event)
            if not self._pruning.is_pruned and (given_up := self._pruning.see(event)):
                self._append(given_up)
        self._last = pulled.last

    def _say(self, saying: str) -> None:
        """Tell what the machine says, now and then, so that a run which waits for it is not taken to hang."""
        if time.monotonic() - self._said > STATUS_SECONDS:
            self._said = time.monotonic()
            self._append(Preparing(saying))

    def _end(self, pulled: Pulled, folder: Path) -> None:
        shutil.rmtree(folder / INCOMING, ignore_errors=True)
        if pulled.ended == "completed" and self._done is not None:
            if self._done.state == "finished":  # it is not resumed
                shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
            self._append(replace(self._done, adapter_folder=folder / ADAPTER))
        elif pulled.ended == "interrupted":
            self._store.set_state(self._run.id, "interrupted", pulled.why, epoch=self._run.epoch)
        elif pulled.ended == "cancelled" or self._cancelled:
            self._store.set_state(self._run.id, "stopped", pulled.why, epoch=self._run.epoch)
        else:
            self._reason = pulled.why

    def _append(self, event: Event) -> None:
        self._store.append(self._run.id, event, self._run.epoch)

    def _cancel(self) -> None:
        if not self._cancelled:
            self._remote.cancel()
            self._cancelled = True

    def stop(self) -> None:
        with suppress(NoNews, RemoteRefused):
            self._cancel()

    def reason(self) -> str:
        return self._reason
