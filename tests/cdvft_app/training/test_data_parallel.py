"""Two processes on the CPU over gloo: told of each other as by `accelerate launch`, through the real command
line; and started by the page, which has that itself start them."""

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import torch
from forked import Forked, command_line
from ports import free_port
from queued_runs import steps
from tiny_trainer import MODEL, save_model, train
from waiting import wait, wait_for

from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import FINAL
from cdvft_app.training import schedule
from cdvft_app.training.executors import LocalProcesses
from cdvft_app.ui.shared import actions, form
from cdvft_app.ui.shared.state import AppState


def outcome(runs: Path, printed: str):
    """The run, its rows' kinds, its losses."""
    (line,) = printed.splitlines()
    store = RunStore(runs)
    (run,) = store.history()
    assert json.loads(line)["run_id"] == run.id
    assert (store.folder(run.id) / run.result["adapter_folder"] / "adapter_model.safetensors").is_file()
    rows, _ = store.rows(run.id)
    return run, [row["kind"] for row in rows], [row["loss"] for row in rows if row["kind"] == "step"]


@pytest.mark.nightly
def test_two_processes_are_one_run_with_the_history_of_one_process(tmp_path):
    save_model(tmp_path / MODEL, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    options = ["train", "--batch-size", "8", "--max-steps", "6", "--epochs", "3", "--seed", "4", "--json"]
    alone = Forked(tmp_path, command_line, train, *options, RUNS_DIR=str(tmp_path / "one"))
    of_both = {"RUNS_DIR": str(tmp_path / "two"), "WORLD_SIZE": "2",
               "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}  # fmt: skip
    both = [
        Forked(tmp_path, command_line, train, *options, RANK=rank, LOCAL_RANK=rank, **of_both)
        for rank in ("0", "1")
    ]
    (code, printed, errors), first, second = (process.end() for process in (alone, *both))
    assert (code, first[0], second[0]) == (0, 0, 0), (errors, first, second)
    assert second[1] == "", "the first process tells it all"
    one, kinds_of_one, losses_of_one = outcome(tmp_path / "one", printed)
    two, kinds, losses = outcome(tmp_path / "two", first[1])
    assert (two.state, two.step, two.total_steps) == (one.state, one.step, one.total_steps)
    assert (two.state, two.step) == ("finished", 6)
    assert two.device.endswith("2 processes") and "processes" not in one.device
    assert kinds.count("step") == 6 and kinds.count("done") == 1 and set(kinds) == set(kinds_of_one)
    assert len(set(losses)) == 6
    torch.testing.assert_close(torch.tensor(losses), torch.tensor(losses_of_one), rtol=1e-4, atol=1e-5)
    assert two.metric == one.metric and two.trainable_parameters == one.trainable_parameters


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


@pytest.mark.nightly
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: finds the child by /proc")
def test_all_visible_gpus_share_a_run_that_the_page_started(store, queue_of, monkeypatch):
    """Two that the driver lists, where torch finds none: two processes on the CPU, over gloo."""
    save_model(store.root.parent / MODEL)
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
    assert steps(store, run_id) == [*range(1, run.step + 1)]
