"""The real trainer in a process of its own: killed, stopped and resumed, it makes the losses of one piece."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial

import psutil
import pytest
import torch
from queued_runs import wait, wait_for
from tiny_trainer import MODEL, WORDS
from transformers import BertConfig, BertModel, BertTokenizerFast

from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import FINAL
from cdvft_app.training.executors import own_process
from cdvft_app.training.jobs import JobQueue

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="finds the child by /proc"),
]
RUN = RunSettings(method="cdvft", max_steps=60, batch_size=8, checkpoint_every=5)


@pytest.fixture
def runs(tmp_path):
    """A store, and a queue over it that trains a tiny model with dropout."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    folder = tmp_path / MODEL
    BertModel(BertConfig(vocab_size=len(WORDS), max_position_embeddings=40, **sizes)).save_pretrained(folder)
    BertTokenizerFast(vocab={word: place for place, word in enumerate(WORDS)}).save_pretrained(folder)
    store = RunStore(tmp_path / "runs")
    queue = JobQueue(store, executor=partial(own_process, trainer="tiny_trainer:train"))
    queue.start()
    yield store, queue
    queue.close()


def losses(store, run_id):
    return {row["step"]: row["loss"] for row in store.rows(run_id, kinds=["step"])[0]}


def kill_the_trainer():
    (fork_server,) = [one for one in psutil.Process().children() if one.children()]
    (trainer,) = fork_server.children()
    os.kill(trainer.pid, signal.SIGKILL)


def test_killed_stopped_and_resumed_it_makes_the_losses_of_one_piece(runs):
    store, queue = runs
    whole, broken = queue.submit([RUN, RUN], "a")
    assert wait(store, whole, *FINAL, seconds=120).state == "finished"
    wait_for(lambda: store.get(broken).step >= 12, 60)
    kill_the_trainer()
    run = wait(store, broken, *FINAL)
    assert run.state == "failed" and "memory ran out" in run.reason
    queue.resume(broken, "a")
    wait_for(lambda: store.get(broken).step >= 25, 60)
    queue.stop(broken, "a")
    run = wait(store, broken, *FINAL)
    assert run.state == "stopped" and run.step < 60
    assert (store.folder(broken) / run.result["adapter_folder"] / "adapter_model.safetensors").is_file()
    queue.resume(broken, "a")
    assert wait(store, broken, *FINAL, seconds=60).state == "finished"
    assert losses(store, broken) == losses(store, whole) and len(losses(store, whole)) == 60
    assert store.get(broken).metric == store.get(whole).metric
