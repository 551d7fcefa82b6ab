"""Slices on a GPU that is lent, by a stand-in of the package `spaces`: forks, quota, expiry, closed pages."""

from __future__ import annotations

import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
import run_events
import torch
from served import asking
from waiting import wait, wait_for

from cdvft_app.events import TrainingPaused
from cdvft_app.executors import base as executors
from cdvft_app.executors.queue import RunQueue
from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import FINAL
from cdvft_app.training import device
from cdvft_app.ui import lending

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: it forks")
RUN = RunSettings(method="cdvft", max_steps=40)


def train(settings, emit, should_stop, folder, resume=False):
    """A step each 20 ms, whose loss is the process that made it; goes on from the checkpoint."""
    kept = folder / "checkpoint"
    first = int(kept.read_text()) if resume and kept.exists() else 0
    emit(run_events.started(settings.max_steps, device=device.device_kind()))
    for step in range(first + 1, settings.max_steps + 1):
        time.sleep(0.02)
        emit(run_events.step(step, float(os.getpid())))
        if should_stop():
            kept.write_text(str(step))
            raise TrainingPaused
    done = run_events.done(step, folder / "adapter")
    emit(done)
    return done


@pytest.fixture
def lent(tmp_path, monkeypatch):
    """`lent(seconds)`: a store, and a queue and slices whose GPU the stand-in lends."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "zero_gpu"))
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "")  # put back what it was
    monkeypatch.setattr(executors, "POLL_SECONDS", 0.02)
    store, queues = RunStore(tmp_path), []

    def make(seconds=0.3, **options):
        slices = lending.slices_on_lent_gpu()
        slices._seconds, slices._fetch, slices._trainer = seconds, None, "test_lending:train"
        for name, value in options.items():
            setattr(slices, name, value)
        queues.append(RunQueue(store, executor=slices))
        queues[-1].start()
        return store, slices, queues[-1]

    yield make
    for queue in queues:
        queue.close()
    store.close()
    if stand_in := sys.modules.pop("spaces", None):
        stand_in._unpatch()
        for worker in stand_in.workers:  # a fork holds what the process had open, a browser's pipe, too
            worker.process.kill()
            worker.process.join()


def requested_by(visitor):
    """As in an event of this visitor's page."""
    return asking(SimpleNamespace(headers={"x-ip-token": visitor}))


def drive(slices, run_id, visitor="ada"):
    with requested_by(visitor):
        return list(slices.drive(run_id)) or None


def test_off_zero_gpu_nothing_is_lent_and_the_package_is_not_needed(monkeypatch):
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    assert lending.slices_on_lent_gpu() is None
    assert "spaces" not in sys.modules


def test_slices_train_in_a_fork_that_alone_may_use_the_gpu(lent):
    store, slices, queue = lent()
    assert torch.cuda.is_available()  # as the package claims in this process
    assert device.device_kind() == "cpu" and device.kind_of_training() == "cuda"
    assert device.device_name("cuda") == "CPU, 1 thread" and device.free_bytes("cuda") > 0
    with pytest.raises(RuntimeError, match="CUDA init"):
        torch.zeros(1, device="cuda")
    (run_id,) = queue.submit([RUN], "a")
    wait_for(lambda: drive(slices, run_id))
    wait_for(lambda: not drive(slices, run_id) and store.state(run_id) in FINAL)
    rows = store.rows(run_id, kinds=["step", "started"])[0]
    processes = {row["loss"] for row in rows if row["kind"] == "step"}
    assert len(processes) == 1 and processes != {float(os.getpid())}  # one fork, used again
    assert {row["device"] for row in rows if row["kind"] == "started"} == {"cpu"}  # nothing claims there
    assert [row["step"] for row in rows if row["kind"] == "step"] == [*range(1, 41)]
    assert sum(row["kind"] == "started" for row in rows) > 1


def test_a_visitor_whose_quota_is_used_up_is_told_what_is_left_and_when_there_is_more(lent, monkeypatch):
    monkeypatch.setenv("STAND_IN_QUOTA", "44")
    store, slices, queue = lent(seconds=1.5, _loading=28.0)
    (mine,) = queue.submit([RunSettings(method="cdvft", max_steps=400)], "a")
    wait_for(lambda: drive(slices, mine))  # asks for 1.3 x (1.5 + 28) + 5 s, and takes 1.5
    assert store.state(mine) not in FINAL  # "preparing", where the machine is busy
    slices._loading = 28.0
    drive(slices, mine)
    run = wait(store, mine, *FINAL)
    assert run.state == "interrupted"
    assert re.fullmatch(
        r"Paused: [34]\d s of your GPU time of today are left, and the next slice asks for 44\. More comes "
        r"in 3 h 21 min\. Resume then goes on from the last checkpoint\. Whoever is logged in on huggingface"
        r"\.co has more\.",
        run.reason,
    )
    assert 1.5 < run.result["lent_seconds"] < 10
    (theirs,) = queue.submit([RUN], "b")
    slices._loading = 1.0
    wait_for(lambda: drive(slices, theirs, "bob"))  # who has a quota of his own
    assert store.get(theirs).step > 0


def test_a_slice_that_takes_longer_than_it_asked_for_is_killed_and_tried_again(lent, monkeypatch):
    monkeypatch.setattr("cdvft_app.executors.zero_gpu.SPARE_SECONDS", 0.0)
    store, slices, queue = lent(seconds=0.3, _loading=0.01)
    order = slices.order
    monkeypatch.setattr(slices, "order", lambda *asked: replace(order(*asked), asked_seconds=1))
    (run_id,) = queue.submit([RunSettings(method="cdvft", max_steps=40)], "a")
    monkeypatch.setattr("test_lending.train", forever)
    wait_for(lambda: drive(slices, run_id))
    assert store.state(run_id) == "running"  # it may go well with more seconds
    drive(slices, run_id)
    run = wait(store, run_id, *FINAL)
    assert run.state == "interrupted" and "taken away before the slice ended (GPU task aborted)" in run.reason
    assert run.result["lent_seconds"] > 0


def forever(settings, emit, should_stop, folder, resume=False):
    emit(run_events.started(settings.max_steps))
    while True:
        time.sleep(0.05)


def test_a_closed_page_leaves_the_slice_at_a_checkpoint(lent):
    store, slices, queue = lent(seconds=60)
    (run_id,) = queue.submit([RunSettings(method="cdvft", max_steps=100_000)], "a")
    wait_for(lambda: slices.due([run_id]))
    with requested_by("ada"):
        slice_ = slices.drive(run_id)
        next(slice_)
        wait_for(lambda: store.get(run_id).step > 3)
        slice_.close()
    assert int((store.folder(run_id) / "checkpoint").read_text()) == store.get(run_id).step
    assert store.state(run_id) == "running" and slices.due([run_id]) == run_id


REFUSALS = [
    ("quota exceeded", "Space app has reached its GPU limit", False, "used up. More comes within a day."),
    ("quota exceeded", "(30s requested vs. 2s left). Try again in 1 day, 0:02:05. ", False, "in 24 h 2 min."),
    ("queue timeout", "No GPU was available after 60s. Sign up", False, "no GPU was free within a minute"),
    ("client error", "Expired ZeroGPU proxy token", False, "no GPU was lent: Expired ZeroGPU proxy token."),
    ("worker error", "GPU task aborted", True, "taken away before the slice ended"),
    ("illegal duration", "The requested GPU duration (90s) is larger", False, "(90s) is larger."),
]


@pytest.mark.parametrize(("title", "message", "again", "words"), REFUSALS)
def test_each_refusal_is_said_in_words_that_say_what_to_do(title, message, again, words):
    told = lending.refused(gr.Error(message, title=f"ZeroGPU {title}"))
    assert words in str(told) and told.again is again and "Resume" in str(told)
