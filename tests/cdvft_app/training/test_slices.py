"""Slices that somebody drives, with a trainer that learns nothing: one run, as if it was of one piece."""

from __future__ import annotations

import pytest
from queued_runs import wait, wait_for

from cdvft_app.settings import RunSettings
from cdvft_app.store.states import FINAL
from cdvft_app.training import supervision
from cdvft_app.training.jobs import JobQueue
from cdvft_app.training.slices import Slices

RUN = RunSettings(method="cdvft", max_steps=40)


@pytest.fixture
def start(store, monkeypatch):
    """`start(trainer, **options)`: slices, and a queue that trains in them."""
    monkeypatch.setattr(supervision, "POLL_SECONDS", 0.02)
    queues = []

    def make(trainer, **options):
        slices = Slices(trainer=f"fake_trainers:{trainer}", **options)
        queues.append(JobQueue(store, executor=slices))
        queues[-1].start()
        return slices, queues[-1]

    yield make
    for queue in queues:
        queue.close()


def drive_to_the_end(slices, store, run_id):
    wait_for(lambda: not slices.drive(run_id) and store.state(run_id) in FINAL)


def steps(store, run_id):
    return [row["step"] for row in store.rows(run_id, kinds=["step"])[0]]


def test_slices_make_a_whole_run(store, start):
    lent = []

    def lend(train):
        def called(*arguments):
            lent.append(arguments)
            return train(*arguments)

        return called

    slices, queue = start("slowly", seconds=0.02, lend=lend)
    (run_id,) = queue.submit([RUN], "a")
    wait_for(lambda: slices.drive(run_id))
    assert store.state(run_id) == "running" and 0 < store.get(run_id).step < 40
    drive_to_the_end(slices, store, run_id)
    run = wait(store, run_id, *FINAL)
    assert (run.state, run.reason, run.step) == ("finished", None, 40)
    assert steps(store, run_id) == [*range(1, 41)] and len(lent) > 2
    assert not slices.drive(run_id)


def test_a_run_that_is_asked_to_stop_does_so_in_the_next_slice(store, start):
    slices, queue = start("slowly", seconds=0.02)
    (run_id,) = queue.submit([RUN], "a")
    wait_for(lambda: slices.drive(run_id))
    before = store.get(run_id).step
    queue.stop(run_id, "a")
    assert not slices.drive(run_id)
    run = wait(store, run_id, *FINAL)
    assert (run.state, run.step) == ("stopped", before + 1)


def test_a_run_that_nobody_drives_ends_and_can_be_resumed(store, start):
    slices, queue = start("slowly", seconds=0.02, idle_seconds=0.3)
    (run_id,) = queue.submit([RUN], "a")
    wait_for(lambda: slices.drive(run_id))
    run = wait(store, run_id, *FINAL)
    assert run.state == "failed" and "page that this run trained through was closed" in run.reason
    assert not slices.drive("of no such run")
    slices.idle_seconds = 60.0
    queue.resume(run_id, "a")
    drive_to_the_end(slices, store, run_id)
    assert store.state(run_id) == "finished" and steps(store, run_id) == [*range(1, 41)]


def test_what_goes_wrong_in_a_slice_is_the_runs_reason(store, start):
    slices, queue = start("none_of_that_name")
    (run_id,) = queue.submit([RUN], "a")
    drive_to_the_end(slices, store, run_id)
    run = wait(store, run_id, *FINAL)
    assert run.state == "failed" and "none_of_that_name" in run.reason
