"""A process that no longer has a run writes nothing more of it, however late it comes: epochs see to that."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stored_runs import STARTED, step
from waiting import wait_for

from cdvft_app.events import Halt
from cdvft_app.store.processes import this_process
from cdvft_app.store.runs import RunStore
from cdvft_app.training.run import StopConditions, train_run

LEASE_SECONDS = 1.0
HERE, THERE = "container-1", "container-2"
# Does what it reads, a line each, as a process of the container that it is told to be in.
PROCESS = """
import sys
from cdvft_app.store import leases, processes
root, container, seconds = sys.argv[1:]
processes.machine = lambda: container
leases.LEASE_SECONDS = float(seconds)
from stored_runs import step
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore
store = RunStore(root)
for line in sys.stdin:
    word, *rest = line.split()
    try:
        if word == "acquire":
            run_id, epoch = rest[0], store.leases.acquire(rest[0], processes.this_process()).epoch
        elif word == "join":
            run_id, epoch = rest[0], int(rest[1])
            store.leases.join(run_id, epoch, processes.this_process())
        elif word == "step":
            store.append(run_id, step(int(rest[0]), float(rest[1])), epoch)
        elif word == "end":
            store.set_state(run_id, rest[0], epoch=epoch)
        elif word == "renew":
            store.leases.renew(run_id, epoch)
        elif word == "expire":
            print(*store.leases.expire(), end=" ")
        print("done", flush=True)
    except StoreError as error:
        print(type(error).__name__, flush=True)
"""


class Process:
    """`say` tells it what to do, `answer` reads what came of it; `does` is both."""

    def __init__(self, root: Path, container: str) -> None:
        paths = [str(Path(__file__).parent), *sys.path]
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{PROCESS}", str(root), container,
             str(LEASE_SECONDS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def say(self, *words: object) -> None:
        assert self.process.stdin
        print(*words, file=self.process.stdin, flush=True)

    def answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def does(self, *words: object) -> str:
        self.say(*words)
        return self.answer()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def start(store: RunStore) -> Iterator[Callable[[str], Process]]:
    started: list[Process] = []

    def new(container: str) -> Process:
        started.append(Process(store.root, container))
        return started[-1]

    yield new
    for one in started:
        one.kill()


def losses(store: RunStore, run_id: str) -> list[float]:
    return [row["loss"] for row in store.rows(run_id, kinds=("step",))[0]]


def test_of_two_containers_on_one_volume_one_has_the_run_until_it_is_stopped(store, run_id, start):
    first, second = start(HERE), start(THERE)
    both = [one.does("acquire", run_id) for one in (first, second)]
    assert both == ["done", "IllegalTransition"]
    until = time.monotonic() + 2 * LEASE_SECONDS
    while time.monotonic() < until:  # it lives, which its renewals alone tell the other container
        assert first.does("renew") == "done" and second.does("expire") == "done"
    assert first.does("step", 1, 1.0) == "done"
    first.process.send_signal(signal.SIGSTOP)  # or its network is gone
    first.say("step", 2, 1.5)  # what it is about to write
    wait_for(lambda: run_id in second.does("expire"))
    assert second.does("acquire", run_id) == "done" and second.does("step", 2, 2.0) == "done"
    first.process.send_signal(signal.SIGCONT)
    assert first.answer() == "LeaseLost"
    assert first.does("renew") == first.does("end", "failed") == first.does("step", 3, 1.5) == "LeaseLost"
    assert second.does("step", 3, 3.0) == "done"
    assert losses(store, run_id) == [1.0, 2.0, 3.0] and store.state(run_id) == "preparing"


def test_a_child_of_a_holder_that_was_killed_goes_on_where_it_is_known_and_is_fenced_elsewhere(
    store, run_id, start
):
    holder, child, same, other = start(HERE), start(HERE), start(HERE), start(THERE)
    assert holder.does("acquire", run_id) == "done" and child.does("join", run_id, 1) == "done"
    holder.kill()
    assert child.does("step", 1, 1.0) == "done"
    time.sleep(2 * LEASE_SECONDS)  # of the other side: nothing must happen in it
    assert same.does("expire") == "done", "its own container sees the child live"
    wait_for(lambda: run_id in other.does("expire"))  # another sees that nobody renews
    assert other.does("acquire", run_id) == "done" and other.does("step", 2, 2.0) == "done"
    assert child.does("step", 2, 1.5) == child.does("end", "finished") == "LeaseLost"
    assert losses(store, run_id) == [1.0, 2.0] and store.state(run_id) == "preparing"


def test_a_slice_that_comes_late_ends_without_a_word(store, run_id):
    """A page that was away comes back, and what it had asked for is computed after all."""
    lent = store.leases.acquire(run_id, this_process())
    heard: list[object] = []

    def late(settings, emit, should_stop, folder, resume=False):
        emit(STARTED)
        emit(step(1, 1.0))
        store.set_state(run_id, "interrupted", "The page was closed.", epoch=lent.epoch)
        again = store.leases.acquire(run_id, this_process())
        store.append(run_id, step(2, 2.0), again.epoch)
        emit(step(2, 1.5))
        assert should_stop() is Halt.PAUSE
        emit(step(3, 1.5))
        raise RuntimeError("and fails in the end")

    train_run(store, lent, late, StopConditions(), heard.append)
    assert losses(store, run_id) == [1.0, 2.0] and len(heard) == 2
    run = store.get(run_id)
    assert (run.state, run.epoch, run.reason) == ("preparing", 2, None)
