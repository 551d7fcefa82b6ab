"""Runs on a Ray cluster: placed there, followed into the store, and placed again when their node is lost."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from cdvft_app.catalog.uploaded import ROWS
from cdvft_app.events import Done, Event, Note, Placed, decode
from cdvft_app.executors.base import Executor, NoNews, Pulled, RemoteExecution
from cdvft_app.executors.ray_connection import NO_CONNECTION, Connection, Pull, require_ray
from cdvft_app.executors.ray_node import Order
from cdvft_app.public.budget import Budget
from cdvft_app.settings.environment import data_folder, environment
from cdvft_app.store import snapshots
from cdvft_app.store.records import RunRecord, StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import STOPPABLE
from cdvft_app.training import checkpoints
from cdvft_app.training.checkpoints import CHECKPOINTS, RESUME
from cdvft_app.training.run import NOT_BEGUN, TRAINER

MAX_LOSSES = 3  # of nodes, after which a run is interrupted
PULL_SECONDS = 0.3
CHARGED_SECONDS = 15.0  # charged to a visitor at once
TOO_MANY = f"It had gone on elsewhere {MAX_LOSSES} times before."
ENDS: dict[str, Literal["completed", "cancelled", "failed", "interrupted"]] = {
    "finished": "completed",
    "stopped": "completed",
    "failed": "failed",
    "interrupted": "interrupted",
}
WAITS = "The run waits for a place on the cluster"
UNREACHED = "The cluster does not answer: {}"


class RayCluster(Executor):
    """Trains each run on a node of a Ray cluster, as many at a time as it has room for.

    A run asks for CDVFT_RUN_GPUS and CDVFT_RUN_CPUS; without the first for one GPU where there are any.

    Args:
        address: of the cluster, as for `ray.init`: ray://host:10001, host:port or auto.
        ships_code: whether nodes are given this program's code; None: where it is not installed here.
        trainer: a `Train` by its name.
        patience: Seconds after which a run fails if the cluster never answered.

    Raises:
        ValueError: Ray is not installed.
    """

    is_remote = True

    def __init__(
        self,
        address: str,
        ships_code: bool | None = None,
        trainer: str = TRAINER,
        patience: float = math.inf,
    ) -> None:
        require_ray()
        self.patience = patience
        self.connection, self._trainer = Connection(address, ships_code), trainer

    def start(self, store: RunStore, run: RunRecord, limit: float | None = None) -> RemoteExecution:
        known = store.get(run.id) or run
        before = known.result.get("attempt")
        placed = Placed(before or 1, "")
        store.append(run.id, placed, run.epoch)
        remote = ClusterRun(self, store, run, limit, attempt=placed.attempt, is_known=before is not None)
        return RemoteExecution(store, run, remote)

    def left(self, store: RunStore) -> list[RunRecord]:
        return [run for run in store.interrupted() if run.is_left_on_cluster]

    def runs_at_once(self) -> int:
        """Return how many runs the cluster has room for; at least one, so that it can grow."""
        nodes = self._node_resources()
        asked = self.resources(nodes)
        return max(1, sum(fits(asked, node) for node in nodes))

    def resources(self, nodes: Sequence[Mapping[str, float]] | None = None) -> Mapping[str, float]:
        """Return the resources that a run requests from a node."""
        known = environment()
        offered = self._node_resources() if nodes is None else nodes
        largest = max((node.get("GPU", 0.0) for node in offered), default=0.0)
        gpus = min(largest, 1.0) if known.run_gpus is None else known.run_gpus
        return {"CPU": known.run_cpus, **({"GPU": gpus} if gpus else {}), **dict(known.run_resources)}

    def _node_resources(self) -> list[dict[str, float]]:
        with suppress(NoNews):
            return self.connection.resources()
        return []

    def order(self, run: RunRecord, folder: Path, attempt: int, limit: float | None) -> Order:
        """Return all that a node needs to train the run, from the newest checkpoint in its folder."""
        checkpoint = checkpoints.newest(folder / CHECKPOINTS)[0]
        files = {f"data/{sha256}/{ROWS}": data_folder() / sha256 / ROWS
                 for sha256 in (run.settings.data.files if run.settings.data else ())}  # fmt: skip
        if checkpoint is not None:
            files[f"runs/{run.id}/{CHECKPOINTS}/{checkpoint.name}"] = checkpoint
        return Order(
            run_id=run.id,
            attempt=attempt,
            settings=run.settings.model_dump_json(exclude_none=True),
            files=files,
            is_resumed=checkpoint is not None,
            limit=limit,
            resources=self.resources(),
            threads=os.environ.get("OMP_NUM_THREADS", ""),
            trainer=self._trainer,
        )

    def close(self) -> None:
        """Close the connection; the runs go on."""
        self.connection.close()


class ClusterRun:
    """A `RemoteRun`: one attempt after the other, where nodes are lost, each from the newest checkpoint.

    Args:
        attempt: number of the first.
        is_known: it was begun before, and may go on.
    """

    pull_seconds = PULL_SECONDS

    def __init__(
        self,
        cluster: RayCluster,
        store: RunStore,
        run: RunRecord,
        limit: float | None,
        *,
        attempt: int,
        is_known: bool,
    ) -> None:
        self._cluster, self._store, self._run, self._limit = cluster, store, run, limit
        self._budget = Budget(store)
        self._charged: float | None = None  # time.monotonic(); what the visitor has paid for; None: it waits
        self._losses, self._is_asked_to_stop = 0, False
        self._is_doubtful, self._since = is_known, time.monotonic()
        self._begin(attempt, create=not is_known)

    def _begin(self, attempt: int, create: bool) -> None:
        folder = self._store.folder(self._run.id)
        self._order = self._cluster.order(self._run, folder, attempt, self._limit)
        self._checkpoint = f"checkpoint-{newest_step(folder)}"
        self._create, self._node, self._is_done = create, "", False

    def pull(self, after: int, into: Path) -> Pulled:
        self._charge(CHARGED_SECONDS)
        stop = self._is_asked_to_stop
        asked = Pull(self._order, after, self._checkpoint, into, create=self._create, stop=stop)
        try:
            update = self._cluster.connection.pull(asked)
        except NoNews:
            return self._unreached(after)
        if update.lost is not None:
            return self._again(update.lost, into.parent)
        if update.state == "interrupted":
            return self._again(f"Node {update.node} gave the run up: {update.reason}", into.parent)
        events: list[Event] = []
        if update.node and not self._node:
            self._node, self._create, self._is_doubtful = update.node, False, False
            self._charged = time.monotonic()
            events.append(Placed(self._order.attempt, update.node))
        for row in update.rows:
            with suppress(KeyError, TypeError, ValueError):  # it is none of those that are known here
                events.append(decode(row["kind"], row, into.parent))
        self._is_done |= any(isinstance(event, Done) for event in events)
        self._checkpoint = update.checkpoint or self._checkpoint
        ended = ENDS[update.state] if update.state else None
        if ended == "completed" and not self._is_done:
            ended = "cancelled"  # before its first step
        return Pulled(events, update.last, WAITS, update.files, ended, update.reason)

    def _unreached(self, after: int) -> Pulled:
        """Wait for the cluster, unless it never answered or the run is asked to stop before it began."""
        connection = self._cluster.connection
        why = UNREACHED.format(connection.refused.rstrip(".") or NO_CONNECTION)
        if not self._is_doubtful and not connection.was_connected:
            if self._is_asked_to_stop:
                return Pulled((), after, "", ended="cancelled", why=NOT_BEGUN)
            if time.monotonic() - self._since > self._cluster.patience:
                return Pulled((), after, "", ended="failed", why=f"{why}.")
        return Pulled((), after, why)

    def _again(self, why: str, folder: Path) -> Pulled:
        """Begin the next attempt from the newest checkpoint that is here, unless there were too many."""
        self._charge()
        self._charged = None
        with suppress(NoNews):
            self._cluster.connection.release(self._order)
        step = newest_step(folder)
        events: list[Event] = []
        if not self._is_doubtful:
            self._losses += 1
            from_where = f"goes on elsewhere from step {step}" if step else "begins again elsewhere"
            if self._losses > MAX_LOSSES:
                return Pulled((), 0, "", ended="interrupted", why=f"{why} {TOO_MANY} {RESUME}")
            events.append(Note(f"{why} The run {from_where}.", "warning"))
        snapshots.remove_after(folder, step)
        self._is_doubtful = False
        self._begin(self._order.attempt + 1, create=True)
        return Pulled([*events, Placed(self._order.attempt, "")], 0, WAITS)

    def _charge(self, least: float = 0.0) -> None:
        """Have the visitor pay for the time on a node, and the run stopped when none is left.

        Nothing happens before so many seconds are to be paid.
        """
        now = time.monotonic()
        if self._run.visitor is None or self._charged is None or now - self._charged < least:
            return
        with suppress(StoreError):  # a full disk takes it another time
            self._store.spending.charge(self._run.visitor, "training", now - self._charged)
            self._charged = now
            refused = self._budget.exhausted(self._run.visitor)
            if refused and self._store.state(self._run.id) in STOPPABLE:
                self._store.append(self._run.id, Note(f"{refused} {RESUME}", "warning"), self._run.epoch)
                self._store.ask_to_stop(self._run.id)

    def cancel(self) -> None:
        self._is_asked_to_stop = True

    def release(self) -> None:
        self._charge()
        with suppress(NoNews):  # the actor ends by itself, later
            self._cluster.connection.release(self._order)


def fits(asked: Mapping[str, float], offered: Mapping[str, float]) -> int:
    """Return how many runs that ask for these resources a node can train at the same time."""
    return min(
        (int(offered.get(name, 0) / amount + 1e-9) for name, amount in asked.items() if amount), default=0
    )


def newest_step(folder: Path) -> int:
    """Return the step of the newest checkpoint in the run's folder; 0 if there is none."""
    checkpoint = checkpoints.newest(folder / CHECKPOINTS)[0]
    return checkpoints.step(checkpoint) if checkpoint else 0
