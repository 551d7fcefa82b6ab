"""Two processes on the CPU over gloo, started as `accelerate launch` does, through the real command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from forked import Forked, command_line
from tiny_trainer import MODEL, WORDS, train
from transformers import BertConfig, BertModel, BertTokenizerFast

from cdvft_app.store.runs import RunStore

ROOT = Path(__file__).parents[3]

COMMAND = f"""
import gc, sys
gc.disable()  # a quarter of what the imports take
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}, {str(Path(__file__).parent)!r}]
from forked import command_line
from tiny_trainer import train
command_line(train, *sys.argv[1:])
"""


@pytest.fixture
def model(tmp_path) -> None:
    """A tiny model without dropout, where `tiny_trainer` finds it."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=40,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    BertModel(config).save_pretrained(tmp_path / MODEL)
    vocabulary = {word: place for place, word in enumerate(WORDS)}
    BertTokenizerFast(vocab=vocabulary).save_pretrained(tmp_path / MODEL)


def outcome(runs: Path, printed: str):
    """The run, its rows' kinds, its losses."""
    (line,) = printed.splitlines()
    store = RunStore(runs)
    (run,) = store.history()
    assert json.loads(line)["run_id"] == run.id
    assert (store.folder(run.id) / run.result["adapter_folder"] / "adapter_model.safetensors").is_file()
    rows, _ = store.rows(run.id)
    return run, [row["kind"] for row in rows], [row["loss"] for row in rows if row["kind"] == "step"]


@pytest.mark.slow
@pytest.mark.usefixtures("model")
def test_two_processes_are_one_run_with_the_history_of_one_process(tmp_path):
    options = ["train", "--batch-size", "8", "--max-steps", "6", "--epochs", "3", "--seed", "4", "--json"]
    alone = Forked(tmp_path, command_line, train, *options, RUNS_DIR=str(tmp_path / "one"))
    (tmp_path / "command.py").write_text(COMMAND)
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launched = subprocess.run(
        [*launcher, "--main_process_port", "0", str(tmp_path / "command.py"), *options],
        capture_output=True,
        text=True,
        env=os.environ | {"RUNS_DIR": str(tmp_path / "two"), "OMP_NUM_THREADS": "1"},
        timeout=280,
        check=False,
    )
    assert launched.returncode == 0, launched.stderr[-3000:]
    code, printed, errors = alone.end()
    assert code == 0, errors
    one, kinds_of_one, losses_of_one = outcome(tmp_path / "one", printed)
    two, kinds, losses = outcome(tmp_path / "two", launched.stdout)
    assert (two.state, two.step, two.total_steps) == (one.state, one.step, one.total_steps)
    assert (two.state, two.step) == ("finished", 6)
    assert two.device.endswith("2 processes") and "processes" not in one.device
    assert kinds.count("step") == 6 and kinds.count("done") == 1 and set(kinds) == set(kinds_of_one)
    assert len(set(losses)) == 6
    torch.testing.assert_close(torch.tensor(losses), torch.tensor(losses_of_one), rtol=1e-4, atol=1e-5)
    assert two.metric == one.metric and two.trainable_parameters == one.trainable_parameters
