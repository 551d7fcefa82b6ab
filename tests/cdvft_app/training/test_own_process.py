"""Runs in processes of their own that are killed, crash, hang, or do not listen: the others go on."""

import multiprocessing
import os
import signal
import sys
from contextlib import contextmanager

import psutil
import pytest
from queued_runs import LONG, steps
from waiting import pace, wait, wait_for

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


@pytest.fixture
def impatient(monkeypatch):
    assert Child(int).poll(90)  # the fork server has imported what it has to
    monkeypatch.setattr(executors, "patience", lambda forecast: 2.0 * pace())


@pytest.fixture
def trainers():
    """`trainers()`: descendants that train, begun since: not the fork server, nor what another test left."""
    us, before = psutil.Process(), set(psutil.Process().children(recursive=True))

    def those():
        found = [one for one in us.children(recursive=True) if one.parent() != us and one.is_running()]
        return [one for one in found if one not in before and one.exe() == us.exe()]

    return those


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


def test_supervise_ends_silent_processes(store, start, impatient, trainers):
    (run_id,) = start("hangs").submit([RUN], "a")
    run = wait(store, run_id, *FINAL)
    assert run.state == "failed" and "nothing was heard of it" in run.reason
    assert run.step == 2 and not trainers()


def test_time_limit_ends_a_run_at_a_checkpoint(store, start, impatient, monkeypatch):
    monkeypatch.setenv("CDVFT_MAX_RUN_SECONDS", "1")
    (run_id,) = start("slowly").submit([LONG], "a")
    run = wait(store, run_id, *FINAL)
    assert run.state == "failed" and "1 seconds, the limit of this server" in run.reason
    assert int((store.folder(run_id) / "checkpoint").read_text()) == run.step > 0


def serve(folder, runs, limits):
    os.environ.update(limits)
    multiprocessing.set_forkserver_preload(["cdvft_app.training.run", "fake_trainers"])  # which need no torch
    assert Child(int).poll(90)  # from now on a process starts at once
    queue = RunQueue(RunStore(folder), executor=LocalProcesses("fake_trainers:slowly"))
    queue.start()
    queue.submit([LONG] * runs, "a", visitor="ada")
    signal.pause()


@contextmanager
def served(folder, runs, **limits):
    """The store of a server with so many long runs, which is killed in the end."""
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(folder, runs, limits))
    server.start()
    try:
        wait_for((folder / "history.sqlite").exists)
        store = RunStore(folder)
        wait_for(lambda: len(store.history()) == runs)
        yield store
    finally:
        server.kill()
        server.join()


def test_child_of_a_killed_server_leaves_at_a_checkpoint(tmp_path):
    with served(tmp_path, 1) as store:
        (run,) = store.history()
        wait_for(lambda: store.get(run.id).step > 2)
    run = wait(store, run.id, *FINAL)
    assert run.state == "interrupted" and "Resume goes on from its last checkpoint" in run.reason
    assert int((store.folder(run.id) / "checkpoint").read_text()) == run.step


def test_budget_is_shared_by_parallel_runs(tmp_path):
    limits = {"CDVFT_PUBLIC": "1", "CDVFT_BUDGET_SECONDS": "6", "CDVFT_WORKERS": "2"}
    with served(tmp_path, 2, **limits) as store:
        wait_for(lambda: all(run.state in FINAL for run in store.history()))
        runs = store.history()
    (spent,) = store.spending.visitors(0)
    assert spent.training < 1.5 * 6, "each took all that was left"
    for run in runs:
        assert run.state == "failed" and "0 s of your 6 s of this server are left" in run.reason
        assert "Resume goes on from the last checkpoint" in run.reason
        assert int((store.folder(run.id) / "checkpoint").read_text()) == run.step > 0


TEN_MINUTES, A_MONTH = 600.0, 30 * 86_400.0
