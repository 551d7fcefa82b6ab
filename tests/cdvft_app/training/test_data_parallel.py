"""Two data-parallel processes on the CPU over gloo, launched as `accelerate launch` does."""

import json
from pathlib import Path

import pytest
import torch
from forked import Forked, command_line
from ports import free_port
from tiny_trainer import MODEL, save_model, train

from cdvft_app.store.runs import RunStore


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
