"""Runs in processes of their own that are killed, crash, hang, or do not listen: the others go on."""

import multiprocessing
import signal
import sys

import pytest
from queued_runs import LONG, steps
from waiting import wait, wait_for

from cdvft_app.executors import base as executors
from cdvft_app.executors.base import LocalProcesses
from cdvft_app.executors.queue import RunQueue
from cdvft_app.settings import RunSettings
from cdvft_app.store.processes import this_process
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import FINAL
from cdvft_app.training.children import Child

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
RUN = RunSettings(method="cdvft", max_steps=6)


@pytest.fixture
def start(queue_of, monkeypatch):
    """`start("name of a fake trainer")`: a queue whose runs it trains, each in a process of its own."""
    monkeypatch.setattr(executors, "POLL_SECONDS", 0.02)
    return lambda trainer: queue_of(LocalProcesses(f"fake_trainers:{trainer}"), workers=1)


ENDS = [
    ("killed", "most likely because memory ran out. Lower the batch size"),
    ("crashes", "crashed (SIGSEGV). Resume goes on"),
    ("leaves", "ended early (exit code 7). Resume goes on"),
    ("fails", "unexpectedly with RuntimeError: size mismatch"),
    ("none_of_that_name", "none_of_that_name"),
]


@pytest.mark.parametrize(("trainer", "reason"), ENDS)
def test_queue_survives_dying_processes(store, start, trainer, reason):
    working = start(trainer)
    first, second = working.submit([RUN, RUN], "a")
    for run_id in (first, second):
        run = wait(store, run_id, *FINAL)
        assert run.state == "failed" and reason in run.reason and "\n" not in run.reason
    if trainer == "none_of_that_name":
        return
    assert steps(store, first) == [1, 2]
    working.resume(first, "a")
    run = wait(store, first, "finished")
    assert steps(store, first) == [1, 2, 3, 4, 5, 6] and run.reason is None
    holder, child = run.process.split()
    assert holder == this_process() != child


def serve(folder):
    multiprocessing.set_forkserver_preload(["cdvft_app.training.run", "fake_trainers"])  # which need no torch
    assert Child(int).poll(90)  # from now on a process starts at once
    queue = RunQueue(RunStore(folder), executor=LocalProcesses("fake_trainers:slowly"))
    queue.start()
    queue.submit([LONG], "a")
    signal.pause()


def test_child_of_a_killed_server_leaves_at_a_checkpoint(tmp_path):
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(tmp_path,))
    server.start()
    wait_for((tmp_path / "history.sqlite").exists)
    store = RunStore(tmp_path)
    (run,) = wait_for(store.history)
    wait_for(lambda: store.get(run.id).step > 2)
    server.kill()
    server.join()
    run = wait(store, run.id, *FINAL)
    assert run.state == "interrupted" and "Resume goes on from its last checkpoint" in run.reason
    assert int((store.folder(run.id) / "checkpoint").read_text()) == run.step
