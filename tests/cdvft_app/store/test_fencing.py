"""A process that no longer has a run writes nothing more of it, however late it comes: epochs see to that."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from stored_runs import step
from waiting import wait_for

from cdvft_app.store import leases, processes
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore

LEASE_SECONDS = 1.0


def live(root: Path, container: str, pipe: Connection) -> None:
    """Do what comes through the pipe, as a process of that container, and tell what came of it."""
    processes.machine = lambda: container
    leases.LEASE_SECONDS = LEASE_SECONDS
    store = RunStore(root)
    while True:
        word, *rest = pipe.recv()
        try:
            if word == "acquire":
                run = store.leases.acquire(*rest, this_process())
            elif word == "step":
                store.append(run.id, step(*rest), run.epoch)
            elif word == "end":
                store.set_state(run.id, *rest, epoch=run.epoch)
            elif word == "renew":
                store.leases.renew(run.id, run.epoch)
            pipe.send(store.leases.expire() if word == "expire" else "done")
        except StoreError as error:
            pipe.send(type(error).__name__)


class Container:
    """A process in a container of that name."""

    def __init__(self, root: Path, name: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, there = context.Pipe()
        self.process = context.Process(target=live, args=(root, name, there), daemon=True)
        self.process.start()
        there.close()

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def does(self, *words: object) -> object:
        self.pipe.send(words)
        return self.pipe.recv()


@pytest.fixture
def containers(store: RunStore) -> Iterator[list[Container]]:
    both = [Container(store.root, name) for name in ("container-1", "container-2")]
    yield both
    for one in both:
        one.process.kill()


def losses(store: RunStore, run_id: str) -> list[float]:
    return [row["loss"] for row in store.rows(run_id, kinds=("step",))[0]]


def test_of_two_containers_on_one_volume_one_has_the_run_until_it_is_stopped(store, run_id, containers):
    first, second = containers
    both = [one.does("acquire", run_id) for one in (first, second)]
    assert both == ["done", "IllegalTransition"]
    until = time.monotonic() + 2 * LEASE_SECONDS
    while time.monotonic() < until:  # it lives, which its renewals alone tell the other container
        assert first.does("renew") == "done" and second.does("expire") == []
    assert first.does("step", 1, 1.0) == "done"
    first.send(signal.SIGSTOP)  # or its network is gone
    first.pipe.send(("step", 2, 1.5))  # what it is about to write
    wait_for(lambda: run_id in second.does("expire"))
    assert second.does("acquire", run_id) == "done" and second.does("step", 2, 2.0) == "done"
    first.send(signal.SIGCONT)
    assert first.pipe.recv() == "LeaseLost"
    assert first.does("renew") == first.does("end", "failed") == first.does("step", 3, 1.5) == "LeaseLost"
    assert second.does("step", 3, 3.0) == "done"
    assert losses(store, run_id) == [1.0, 2.0, 3.0] and store.state(run_id) == "preparing"
