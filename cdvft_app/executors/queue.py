"""The queue: a thread takes waiting runs from the store, and one thread a run supervises it.

The store holds the queue and all states, so that any number of pages, and a restarted program, see the same.
A run trains in a process of its own, so that whatever becomes of it the page goes on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from cdvft_app.catalog import libraries
from cdvft_app.errors import UserError
from cdvft_app.events import Event, decode
from cdvft_app.executors.base import CLOSING_SECONDS, Executor, LocalProcesses, settle, train_to_end
from cdvft_app.executors.zero_gpu import Slices
from cdvft_app.public.budget import Budget
from cdvft_app.search import SearchRequest, study
from cdvft_app.settings import RunSettings
from cdvft_app.settings.environment import environment
from cdvft_app.store import replication
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import RunRecord, StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import STOPPABLE
from cdvft_app.training import calibration
from cdvft_app.training.run import stop_signals

NO_SWEEPS = (
    "Sweeps and searches are not for this server: its GPU is lent by the second, to a page that shows the "
    "run. Start races here, and those on a machine of your own."
)
log = logging.getLogger(__name__)
LOOK_SECONDS = 0.1  # between two looks of `run_elsewhere`
POLL_SECONDS = 1.0  # how soon a run is seen that another process queued


class QueueFull(UserError):
    """No more runs may wait; the text is a sentence for the person who asked."""


class RunQueue:
    """Runs what `submit` puts into the store.

    Args:
        store: where runs wait, and where everything about them is kept.
        workers: how many train at the same time; None: CDVFT_WORKERS, else as many as the executor says.
        executor: where runs train; None: in processes of this machine.

    With CDVFT_MAX_RUN_SECONDS a run that takes longer fails, and can be resumed from its last checkpoint.

    At most CDVFT_MAX_QUEUED runs (50) of races wait altogether, and CDVFT_MAX_QUEUED_PER_OWNER (12) of one
    token; beside them CDVFT_MAX_SWEEP_RUNS (96) of all sweeps, which let every race go first. A program gets
    a new token with every race, so all programs together may fill half of the queue and no more.

    Where a page drives each run, each token has one at a time: its page drives one after the other.

    On a public server visitors are counted in place of tokens, each has a `budget` that its runs must fit
    into, and each may fill half of what sweeps may have.
    """

    def __init__(self, store: RunStore, workers: int | None = None, executor: Executor | None = None) -> None:
        self._store = store
        self.executor = executor or LocalProcesses()
        self.slices = executor if isinstance(executor, Slices) else None
        self.max_seconds = environment().max_run_seconds
        self._workers = workers or environment().workers
        self._max_queued = environment().max_queued
        self._max_per_owner = environment().max_queued_per_owner
        self.max_sweep_runs = environment().max_sweep_runs
        self.budget = Budget(store)
        self._of_programs: set[str] = set()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._taking = threading.Thread(target=self._take, name="queue", daemon=True)
        self._training: set[threading.Thread] = set()

    @property
    def is_working(self) -> bool:
        """Whether runs are taken: it was started, and is not closing."""
        return self._taking.is_alive() and not self._closing.is_set()

    def start(self) -> list[str]:
        """Begin to work. Returns the ids of the runs that an earlier process left unfinished."""
        interrupted = []
        try:
            interrupted = self._store.leases.expire()
            self._store.folders.sweep()
            self._store.folders.take_in(self._store.folders.unknown())
        except StoreError as error:  # on a full disk the page still shows what there is
            log.warning("%s", error)
        for run in self.executor.left(self._store):
            with suppress(StoreError):  # another program follows it already
                self._train(self._store.leases.acquire(run.id, this_process()))
        self._taking.start()
        return interrupted

    def submit(
        self,
        settings: Sequence[RunSettings],
        token: str,
        name: str = "",
        *,
        sweep: bool = False,
        forecasts: Sequence[Mapping[str, Any] | None] = (),
        program: bool = False,
        private: bool = False,
        visitor: str | None = None,
    ) -> list[str]:
        """Queue the runs of a race or a sweep; returns their ids in order.

        Nobody but the owner sees those that are `private`, as all on uploaded datasets are. They are a group
        of their own.

        Raises:
            QueueFull, OverBudget: with a sentence.
        """
        if sweep and self.executor.is_page_driven:
            raise QueueFull(NO_SWEEPS)
        private = private or any(one.data for one in settings)
        with self._changed:
            self._check_room(len(settings), token, sweep, visitor, program)
            self.budget.require(visitor, sum(map(_whole_seconds, forecasts)))
            made = self._store.create(
                settings,
                token,
                name,
                forecasts=forecasts,
                sweep=sweep,
                private=private,
                visitor=visitor,
            )
            ids = [run.id for run in made]
            self._of_programs.update(ids if program else ())
            self._changed.notify_all()
        return ids

    def submit_search(
        self,
        request: SearchRequest,
        token: str,
        title: str,
        *,
        forecasts: Sequence[Mapping[str, Any] | None] = (),
        visitor: str | None = None,
    ) -> str:
        """Begin a search, whose first trial is queued, and each next one when that before it has ended.

        `forecasts` are of one trial of each method; all trials must fit into the visitor's budget. Returns
        the id of the search's group.

        Raises:
            InvalidChoice, QueueFull, OverBudget, StoreError: with a sentence.
        """
        if self.executor.is_page_driven:
            raise QueueFull(NO_SWEEPS)
        promised = zip(request.budgets(), map(_whole_seconds, forecasts), strict=False)
        with self._changed:
            self._check_room(1, token, True, visitor)
            self.budget.require(visitor, sum(trials * seconds for trials, seconds in promised))
            run = study.begin(
                self._store, request, token, title, visitor=visitor, forecast=next(iter(forecasts), None)
            )
            self._changed.notify_all()
        return run.group_id

    def stop(self, run_id: str, token: str) -> None:
        """Stop a run: one that waits at once; one that trains within two steps, and it keeps its adapter."""
        self._store.require_owner(run_id, token)
        self._store.ask_to_stop(run_id)

    def resume(self, run_id: str, token: str, visitor: str | None = None) -> None:
        """Queue an ended run again: it goes on from its last checkpoint, or from the start without one.

        From now on its seconds are counted for the `visitor` who asks, whoever began it, or brought it here.
        """
        run = self._store.require_owner(run_id, token)
        self.executor.require_resumable(run)
        with self._changed:
            self._check_room(1, token, run.sweep, visitor)
            self.budget.require(visitor, 0)
            self._store.set_visitor(run_id, visitor)
            self._store.set_state(run_id, "queued")
            self._changed.notify_all()

    def close(self, timeout: float = CLOSING_SECONDS + 5) -> None:
        """Stop what trains, and wait for the workers to end; what waits stays queued."""
        self._closing.set()
        if not self.executor.is_remote:  # there, what has just ended is still to be let go of
            self.executor.close()
        with self._changed:
            self._changed.notify_all()
        end = time.monotonic() + timeout
        for thread in (self._taking, *self._training):
            if thread.ident is not None:  # it was started
                thread.join(max(0.0, end - time.monotonic()))
        if self.executor.is_remote:
            self.executor.close()

    def _check_room(
        self, wanted: int, token: str, sweep: bool, visitor: str | None, program: bool = False
    ) -> None:
        self._of_programs = {one for one in self._of_programs if self._store.state(one) == "queued"}
        asker = {"token": token} if visitor is None else {"visitor": visitor}
        races = [
            (self._max_queued, self._store.queued(sweep=False), "in the queue"),
            (self._max_per_owner, self._store.queued(**asker, sweep=False), "of yours"),
        ]
        sweeps = [(self.max_sweep_runs, self._store.queued(sweep=True), "of sweeps")]
        if visitor is not None:
            mine = self._store.queued(visitor=visitor, sweep=True)
            sweeps.append((self.max_sweep_runs // 2, mine, "of your sweeps"))
        elif program:
            races.append((self._max_queued // 2, len(self._of_programs), "of programs"))
        for limit, waiting, whose in sweeps if sweep else races:
            if waiting + wanted > limit:
                raise QueueFull(
                    f"{waiting} runs {whose} are waiting and at most {limit} may; {wanted} more do not fit. "
                    + ("Vary less, or wait for" if sweep else "Wait for")
                    + " some to end, or stop some."
                )

    def _take(self) -> None:
        process = this_process()
        for group_id in study.groups(self._store):  # whose latest trial ended as the program before did
            self._advance(group_id)
        while not self._closing.is_set():
            room = self.runs_at_once()
            with self._changed:
                run = None
                try:
                    if len(self._training) < room:
                        run = self._store.leases.next(process, one_each=self.executor.is_page_driven)
                except StoreError:
                    log.exception("The queue could not be read.")
                if run is not None:
                    self._train(run)
                elif not self._closing.is_set():
                    self._changed.wait(POLL_SECONDS)

    def runs_at_once(self) -> int:
        """Return how many runs train at the same time."""
        return self._workers or self.executor.runs_at_once()

    def _train(self, run: RunRecord) -> None:
        """Have a run that was taken trained beside the others."""

        def train() -> None:
            try:
                self._run(run)
            finally:
                with self._changed:
                    self._training.discard(thread)
                    self._changed.notify_all()

        thread = threading.Thread(target=train, name=f"training-{run.id[:8]}", daemon=True)
        self._training.add(thread)
        thread.start()

    def _run(self, run: RunRecord) -> None:
        """Train a run that was taken from the queue, if its visitor has time left."""
        refused, limit = None, None
        try:
            refused, limit = self.budget.exhausted(run.visitor), self._limit(run)
        except StoreError as error:  # the remaining time is unknown
            refused = str(error)
        if refused:
            settle(self._store, run, ("interrupted", refused), self._closing.is_set)
            return
        train_to_end(self._store, run, self.executor, limit, self._closing.is_set)
        self._end(run)

    def _end(self, run: RunRecord) -> None:
        if run.sweep:
            self._advance(run.group_id)
        log.info("A run ended.", extra={"run_id": run.id, "state": self._store.state(run.id)})
        try:
            replication.replicate(self._store, run.id)
        except StoreError as error:  # it is here all the same
            log.warning("%s", error, extra={"run_id": run.id})

    def _advance(self, group_id: str) -> None:
        """Begin the next trial of a search, if the group is one whose latest has ended."""
        if self._closing.is_set():
            return
        try:
            made = study.advance(self._store, group_id)
        except Exception:  # whatever it is, other runs go on
            log.exception("A search could not go on.", extra={"group_id": group_id})
            return
        if made is not None:
            with self._changed:
                self._changed.notify_all()

    def _limit(self, run: RunRecord) -> float | None:
        """Return the seconds that the run may take: by the server's limit, and by what its visitor has
        left."""
        limits = [one for one in (self.max_seconds, self.budget.left(run.visitor)) if one is not None]
        return min(limits, default=None)


def run_elsewhere(
    store: RunStore,
    takes: Sequence[Callable[[RunStore], RunRecord]],
    executor: Executor,
    listen: Callable[[RunRecord, Event], None] = lambda run, event: None,
    ended: Callable[[RunRecord], None] = lambda run: None,
) -> list[RunRecord]:
    """Have runs trained elsewhere, as many at a time as there is room for, without the queue.

    Ctrl-C stops them, and what has not begun is left; once more leaves them to go on where they are.

    Args:
        store: keeps the runs.
        takes: each makes or takes up a run, in state `preparing`, when its turn comes.
        executor: where they train.
        listen: hears the runs' events.
        ended: hears of each run that ended, in the order in which they do.

    Returns:
        Those that were begun, as they ended.
    """
    limit, waiting, begun = environment().max_run_seconds, deque(takes), list[_RunElsewhere]()
    with stop_signals() as asked:
        while waiting or any(one.is_training for one in begun):
            stop = bool(asked())
            training = [one for one in begun if one.is_training]
            for one in training:
                one.look(stop, listen)
                if not one.is_training:
                    ended(one.record())
            if stop:
                waiting.clear()
            elif waiting and len(training) < executor.runs_at_once():
                begun.append(_RunElsewhere(store, waiting.popleft()(store), executor, limit))
            else:
                time.sleep(LOOK_SECONDS)
    return [one.record() for one in begun]


class _RunElsewhere:
    """A run that `run_elsewhere` has trained, in a thread of its own."""

    def __init__(self, store: RunStore, run: RunRecord, executor: Executor, limit: float | None) -> None:
        self._store, self._run, self._cursor = store, run, 0
        self._thread = threading.Thread(target=self._train, args=(executor, limit), daemon=True)
        self._thread.start()
        self.is_training = True

    def _train(self, executor: Executor, limit: float | None) -> None:
        train_to_end(self._store, self._run, executor, None if executor.is_owners else limit)

    def look(self, stop: bool, listen: Callable[[RunRecord, Event], None]) -> None:
        self.is_training = self._thread.is_alive()
        told, self._cursor = self._store.rows(self._run.id, self._cursor)
        for row in told:
            listen(self._run, decode(row["kind"], row, self._store.folder(self._run.id)))
        if stop and self._store.state(self._run.id) in STOPPABLE:
            self._store.ask_to_stop(self._run.id)

    def record(self) -> RunRecord:
        return self._store.require(self._run.id)


def warm_up(calibrate: bool = False) -> threading.Thread:
    """Import the heavy libraries beside the page, so that the first forecast comes sooner.

    With `calibrate` this machine's pace is measured then, where no run and no step tells it.
    """
    load = calibration.measure if calibrate else libraries.load
    thread = threading.Thread(target=load, name="warm-up", daemon=True)
    thread.start()
    return thread


def _whole_seconds(forecast: Mapping[str, Any] | None) -> float:
    """Return the seconds that a run is to take; 0 where nobody can know: the clock ends it then."""
    return float(((forecast or {}).get("whole_seconds") or {}).get("value", 0))
