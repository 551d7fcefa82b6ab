"""The real trainer in processes of its own: killed, stopped and resumed, it makes the losses of one piece."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

import psutil
import pytest
from queued_runs import wait, wait_for
from tiny_trainer import MODEL, save_model

from cdvft_app.settings import RunSettings
from cdvft_app.store.states import FINAL
from cdvft_app.training import schedule
from cdvft_app.training.executors import LocalProcesses
from cdvft_app.ui.shared import actions, form
from cdvft_app.ui.shared.state import AppState

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: finds the child by /proc"),
]
RUN = RunSettings(method="cdvft", max_steps=160, batch_size=8, checkpoint_every=5)
EVERY = schedule.evaluation_every(RUN, RUN.max_steps)


@pytest.fixture
def model(store) -> None:
    """A tiny one with dropout, where the trainer finds it."""
    save_model(store.root.parent / MODEL)


def losses(store, run_id):
    return {row["step"]: row["loss"] for row in store.rows(run_id, kinds=["step"])[0]}


def kill_a_trainer():
    """The youngest of the processes that this one has started by way of another one."""
    us = psutil.Process()
    indirect = [one for started in us.children() for one in started.children(recursive=True)]
    ours = [one for one in indirect if one.exe() == us.exe()]  # no browser of other tests
    trainer = max(ours, key=lambda one: one.create_time())
    os.kill(trainer.pid, signal.SIGKILL)


def launched_for(run_id):
    found = []
    for one in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            found += [one] if run_id in " ".join(one.cmdline()) else []
    return found


@pytest.mark.usefixtures("model")
def test_killed_stopped_and_resumed_it_makes_the_losses_of_one_piece(store, queue_of):
    queue = queue_of(LocalProcesses("tiny_trainer:train", 1))
    whole, broken = queue.submit([RUN, RUN], "a")
    assert wait(store, whole, *FINAL).state == "finished"
    wait_for(lambda: store.get(broken).step >= 12)
    kill_a_trainer()
    run = wait(store, broken, *FINAL)
    assert run.state == "failed" and "memory ran out" in run.reason
    queue.resume(broken, "a")
    wait_for(lambda: store.get(broken).step >= 25)
    queue.stop(broken, "a")
    run = wait(store, broken, *FINAL)
    assert run.state == "stopped" and run.step < RUN.max_steps
    assert (store.folder(broken) / run.result["adapter_folder"] / "adapter_model.safetensors").is_file()
    queue.resume(broken, "a")
    assert wait(store, broken, *FINAL).state == "finished"
    assert list(losses(store, whole)) == [*range(1, 3 * EVERY + 1)]  # the first of three was the best
    assert losses(store, broken) == losses(store, whole)
    assert store.get(broken).metric == store.get(whole).metric


@pytest.mark.usefixtures("model")
def test_all_visible_gpus_share_a_run_that_the_page_started(store, queue_of, monkeypatch):
    """Two that the driver lists, where torch finds none: two processes on the CPU, over gloo."""
    monkeypatch.delenv("CDVFT_PROCESSES", raising=False)
    monkeypatch.setattr(schedule, "visible_gpus", lambda: 2)
    queue = queue_of(LocalProcesses("tiny_trainer:train", None))
    typed = {"max_steps": "400", "batch_size": "8", "checkpoint_every": "5"}
    chosen = dict.fromkeys(form.FIELDS, "") | {"recipe": "sentiment", "methods": ["cdvft"], **typed}
    app = AppState.make(store, queue)
    (run_id,), refused = actions.start(app, chosen | {"all_gpus": True}, "a")
    assert refused is None and store.get(run_id).forecast["device"].endswith("2 processes")
    wait_for(lambda: store.get(run_id).step >= 12)
    kill_a_trainer()
    run = wait(store, run_id, *FINAL)
    assert run.state == "failed" and "memory ran out" in run.reason
    wait_for(lambda: not launched_for(run_id))
    queue.resume(run_id, "a")
    wait_for(lambda: store.get(run_id).step >= 25)
    queue.stop(run_id, "a")
    run = wait(store, run_id, *FINAL)
    assert run.state == "stopped" and 25 <= run.step < 400 and run.device.endswith("2 processes")
    assert list(losses(store, run_id)) == [*range(1, run.step + 1)]
