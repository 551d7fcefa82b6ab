"""The Ray executor against a stand-in for the connection: attempts, their end, and their cost."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import run_events

from cdvft_app.events import Placed
from cdvft_app.executors import base as executors
from cdvft_app.executors import ray_cluster as executor
from cdvft_app.executors import ray_connection as connection
from cdvft_app.executors.base import NoNews, supervise
from cdvft_app.executors.ray_node import Update
from cdvft_app.settings import RunSettings
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import LEFT_ON_CLUSTER
from cdvft_app.training import checkpoints

VISITOR = "address 192.0.2.1"
LOST = Update(lost="Node lab-1 was lost.")


class StandIn:
    """Answer each pull with the next of `updates`, after the next of `takes` seconds."""

    refused, now, was_connected = "", 0, True

    def __init__(self):
        self.updates, self.asked, self.released, self.takes = [], [], [], []
        self.alive = [{"CPU": 4.0}]

    def pull(self, pull):
        self.asked.append(pull)
        self.now += self.takes.pop(0) if self.takes else 0
        if not self.updates:
            raise NoNews
        return self.updates.pop(0) if len(self.updates) > 1 else self.updates[0]

    def release(self, order):
        self.released.append(order.name)

    def resources(self):
        return self.alive


@pytest.fixture
def cluster(monkeypatch):
    made = StandIn()
    monkeypatch.setattr(executor, "Connection", lambda *given: made)
    monkeypatch.setattr(executor, "time", SimpleNamespace(monotonic=lambda: made.now))
    monkeypatch.setattr(executor.ClusterRun, "pull_seconds", 0.0)
    monkeypatch.setattr(executors, "POLL_SECONDS", 0.0)
    return made


@pytest.fixture
def ray(cluster):
    return executor.RayCluster("ray://lab-1:10001")


def leased(store, **more):
    (made,) = store.create([RunSettings(method="cdvft")], "a", **more)
    return store.leases.acquire(made.id, this_process())


@pytest.fixture
def run(store):
    return leased(store)


def row(event):
    values = {**vars(event), "kind": type(event).__name__.lower()}
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


ROWS = [row(run_events.started(3)), row(run_events.step(1, 1.0)), row(run_events.done(1))]


def checkpoint(folder, step):
    made = folder / "checkpoints" / f"checkpoint-{step}"
    made.mkdir(parents=True)
    (made / checkpoints.LAST_WRITTEN).write_text("{}")
    checkpoints.write_checksums(made)
    return made


def test_run_is_interrupted_after_three_losses(store, run, cluster, ray):
    cluster.updates = [Update(node="lab-1"), LOST]
    supervise(store, run, ray)
    ended = store.get(run.id)
    assert (ended.state, ended.is_resumable) == ("interrupted", True)
    assert ended.reason.startswith(LOST.lost)
    assert [one.order.attempt for one in cluster.asked] == [1, 1, 2, 3, 4]
    assert cluster.released == [f"{run.id}-{attempt}" for attempt in (1, 2, 3, 4, 4)]


def test_next_attempt_starts_at_the_newest_checkpoint(store, run, cluster, ray):
    checkpoint(store.folder(run.id), 5)
    newest = checkpoint(store.folder(run.id), 10)
    cluster.updates = [Update(node="lab-1"), LOST, Update(rows=ROWS, last=3, node="lab-2", state="finished")]
    supervise(store, run, ray)
    last = cluster.asked[-1]
    assert list(last.order.files.items()) == [(f"runs/{run.id}/checkpoints/checkpoint-10", newest)]
    assert last.order.is_resumed and last.create and last.checkpoint == "checkpoint-10"
    ended = store.get(run.id)
    assert (ended.state, ended.result["attempt"], ended.result["node"]) == ("finished", 2, "lab-2")


def test_known_run_is_followed_before_it_is_restarted(store, run, cluster, ray):
    store.append(run.id, Placed(4, "lab-1"), run.epoch)
    cluster.updates = [Update(lost=connection.UNKNOWN_RUN), Update(rows=ROWS, last=3, state="finished")]
    supervise(store, run, ray)
    first, second = cluster.asked
    assert (first.order.attempt, first.create) == (4, False)
    assert (second.order.attempt, second.create) == (5, True)


def test_order_names_no_owner(store, cluster, ray):
    run = leased(store, visitor=VISITOR)
    order = ray.order(run, store.folder(run.id), 1, None)
    assert VISITOR not in repr(order) and "token" not in repr(order)


def test_time_on_nodes_is_charged_and_waiting_is_not(store, cluster, ray):
    ended = Update(rows=ROWS, last=3, node="lab-2", state="finished")
    cluster.takes = [100, 0, 7, 200, 0, 5]
    cluster.updates = [Update(), Update(node="lab-1"), LOST, Update(), Update(node="lab-2"), ended]
    run = leased(store, visitor=VISITOR)
    supervise(store, run, ray)
    assert store.state(run.id) == "finished" and cluster.now == 312
    assert sum(seconds for _, seconds in store.spending.since(VISITOR, 0)) == 7 + 5


def test_run_is_left_on_the_cluster_when_the_program_ends(store, run, cluster, ray):
    cluster.updates = [Update(node="lab-1")]
    outcome = supervise(store, run, ray, closing=lambda: bool(cluster.asked))
    assert outcome == ("interrupted", LEFT_ON_CLUSTER)
    store.set_state(run.id, *outcome, epoch=run.epoch)
    assert [one.id for one in ray.left(store)] == [run.id]
