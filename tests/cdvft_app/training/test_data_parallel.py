"""Two processes on the CPU over gloo, started as `accelerate launch` does, through the real command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from cdvft_app.store.runs import RunStore

ROOT = Path(__file__).parents[3]

COMMAND = """
import dataclasses, sys
sys.path.insert(0, {root!r})
import numpy as np
from cdvft_app import catalog
from cdvft_app.catalog.rows import Rows, Split
from cdvft_app.commands.main import main
from cdvft_app.training import trainer

def tiny(settings, emit, should_stop, folder, resume=False):
    model = dataclasses.replace(catalog.get_model("minilm"), source="local", location={model!r})
    labels = np.arange(48) % 2
    texts = [f"{{'film ' * (1 + 5 * number % 7)}}{{('bad', 'good')[number % 2]}}" for number in range(48)]
    train, evaluation = Split(texts[:32], labels[:32]), Split(texts[32:], labels[32:])
    rows = Rows(train, evaluation, ("negative", "positive"), None)
    plan = dataclasses.replace(catalog.resolve(settings), model=model)
    return trainer.train_plan(plan, emit, should_stop, folder, resume, rows=rows)

trainer.train = tiny
main()
"""


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film"]


@pytest.fixture
def command(tmp_path):
    """Runs the command line on a tiny model without dropout; gives the run, its rows' kinds, its losses."""
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
    folder = tmp_path / "bert"
    BertModel(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    script = tmp_path / "command.py"
    script.write_text(COMMAND.format(root=str(ROOT), model=str(folder)))

    def run(name, launcher, *options):
        environment = os.environ | {"RUNS_DIR": str(tmp_path / name), "OMP_NUM_THREADS": "1"}
        ended = subprocess.run(
            [sys.executable, *launcher, str(script), *options, "--json"],
            capture_output=True,
            text=True,
            env=environment,
            timeout=280,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr[-3000:]
        (line,) = ended.stdout.splitlines()
        store = RunStore(tmp_path / name)
        (run,) = store.history()
        assert json.loads(line)["run_id"] == run.id
        assert (store.folder(run.id) / run.result["adapter_folder"] / "adapter_model.safetensors").is_file()
        rows, _ = store.rows(run.id)
        return run, [row["kind"] for row in rows], [row["loss"] for row in rows if row["kind"] == "step"]

    return run


@pytest.mark.slow
def test_two_processes_are_one_run_with_the_history_of_one_process(command):
    options = ["train", "--batch-size", "8", "--max-steps", "6", "--epochs", "3", "--seed", "4"]
    launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    two, kinds, losses = command("two", [*launcher, "--main_process_port", "0"], *options)
    one, kinds_of_one, losses_of_one = command("one", [], *options)
    assert (two.state, two.step, two.total_steps) == (one.state, one.step, one.total_steps)
    assert (two.state, two.step) == ("finished", 6)
    assert two.device.endswith("2 processes") and "processes" not in one.device
    assert kinds.count("step") == 6 and kinds.count("done") == 1 and set(kinds) == set(kinds_of_one)
    assert len(set(losses)) == 6
    torch.testing.assert_close(torch.tensor(losses), torch.tensor(losses_of_one), rtol=1e-4, atol=1e-5)
    assert two.metric == one.metric and two.trainable_parameters == one.trainable_parameters
