"""Runs on a machine that tells its events under numbers: each is kept once, by whoever holds the lease."""

from __future__ import annotations

import pytest
import run_events
from queued_runs import RUN, steps

from cdvft_app.events import Evaluation, Note
from cdvft_app.executors import base as executors
from cdvft_app.executors.base import Executor, Pulled, RemoteExecution, supervise
from cdvft_app.store.processes import this_process

STARTED = run_events.started(3)
STEPS = [run_events.step(step, 1 / step) for step in (1, 2, 3)]
EVALUATION = Evaluation(3, 0.3, 0.5, "accuracy", 0.75, True)


class OtherMachine(Executor):
    """Trains each run once, whoever follows it: `tells` are its events so far."""

    is_remote = True
    pull_seconds = 0.0

    def __init__(self) -> None:
        self.tells, self.ended, self.asked, self.refuses = [], None, [], None
        self.started, self.cancelled, self.released = [], False, False
        self.files = {}

    def start(self, store, run, limit=None):
        if run.id not in self.started:
            self.started.append(run.id)
        return RemoteExecution(store, run, self)

    def pull(self, after, into):
        self.asked.append(after)
        if self.refuses:
            raise self.refuses
        for name, content in self.files.items():
            (into / name).mkdir(parents=True, exist_ok=True)
            (into / name / "content").write_bytes(content)
        files = [*self.files]
        return Pulled(
            self.tells[after:], len(self.tells), "It waits for a machine", files, self.ended, "No room."
        )

    def release(self):
        self.released = True

    def cancel(self):
        self.cancelled, self.ended = True, "cancelled"


@pytest.fixture
def machine(monkeypatch):
    monkeypatch.setattr(executors, "POLL_SECONDS", 0.0)
    return OtherMachine()


@pytest.fixture
def run(store):
    (made,) = store.create([RUN], "a")
    return store.leases.acquire(made.id, this_process())


def done(store, run):
    return run_events.done(3, store.folder(run.id) / "adapter")


def kinds(store, run):
    return [row["kind"] for row in store.rows(run.id)[0] if row["kind"] != "preparing"]


def test_remote_execution_places_the_adapter(store, machine, run):
    machine.tells, machine.ended = [STARTED, *STEPS, EVALUATION, done(store, run)], "completed"
    machine.files = {"adapter": b"learned"}
    supervise(store, run, machine)
    ended = store.get(run.id)
    assert (ended.state, ended.step, ended.metric) == ("finished", 3, 0.75)
    assert (store.folder(run.id) / ended.result["adapter_folder"] / "content").read_bytes() == b"learned"
    assert machine.released and not (store.folder(run.id) / "incoming").exists()


def test_remote_execution_follows_again(store, machine, run):
    machine.tells = [Note("It has no GPU."), STARTED, *STEPS[:2]]
    before = machine.start(store, run)
    assert not before.poll(0)
    store.set_state(run.id, "interrupted", "The page was started again.")
    again = store.leases.acquire(run.id, this_process())
    machine.tells += [STEPS[2], EVALUATION, done(store, run)]
    machine.ended = "completed"
    supervise(store, again, machine)
    assert machine.started == [run.id]
    assert steps(store, run.id) == [1, 2, 3]
    assert kinds(store, run).count("note") == 1 and store.state(run.id) == "finished"


def test_remote_execution_leaves_without_its_lease(store, machine, run):
    old = machine.start(store, run)
    machine.tells = [STARTED, STEPS[0]]
    assert not old.poll(0)
    store.set_state(run.id, "interrupted")
    store.leases.acquire(run.id, this_process())
    machine.tells += [Note("Late."), STEPS[1]]
    assert old.poll(0)
    assert "note" not in kinds(store, run) and store.get(run.id).step == 1
    assert store.state(run.id) == "preparing" and not machine.cancelled
