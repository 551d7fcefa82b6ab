"""What is exported as a script or a notebook trains the same run again: the same loss at every step."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import listening
import pytest
from safetensors.torch import load_file
from test_export import OfNoHub
from transformers import AttentionInterface

from cdvft_app.catalog import get_model, resolve
from cdvft_app.results.finished_run import FinishedRun
from cdvft_app.results.script import write_script, writer_text
from cdvft_app.settings import RunSettings
from cdvft_app.store import predictions
from cdvft_app.tasks import attention
from cdvft_app.training.checkpoints import BestStep

ROOT = Path(__file__).parents[3]
NEIGHBOURS = ("attention", "conversations", "shared_prefix", "metrics")  # beside a writers' script


def taken_out() -> dict:
    names = [name for name in sys.modules if name.partition(".")[0] in NEIGHBOURS]
    return {name: sys.modules.pop(name) for name in names}


def ran(folder: Path, text: str) -> dict:
    names: dict = {"__name__": "__main__"}
    others = taken_out()  # those of these names in other folders
    sys.path.insert(0, str(folder))  # as `python train.py` has it
    try:
        with contextlib.chdir(folder), contextlib.redirect_stdout(None):
            exec(text, names)
    finally:
        sys.path.remove(str(folder))
        taken_out()
        sys.modules.update(others)
        AttentionInterface.register(attention.NAME, attention.attention)  # the script registered its own
    return names


def losses(store, run) -> list[float]:
    rows, _ = store.rows(run.record.id, kinds=("step",))
    return [row["loss"] for row in rows]


@pytest.mark.parametrize(
    "case",
    [
        ("text", "cdvft"),
        ("text with fast input diagonals", "cdvft"),
        ("text", "lora"),
        ("text", "head"),
        ("text", "full"),
        ("first token", "cdvft"),
        ("number", "cdvft"),
        ("image", "cdvft"),
        ("answer", "cdvft"),
        ("answer with fast input diagonals", "cdvft"),
        ("answer in float32", "lora"),
        ("answer", "full"),
        ("answer in parts", "fourierft"),
    ],
)
def test_the_script_has_the_loss_of_the_run(case, request, trained, store, tmp_path):
    kind, method = case
    name = kind.partition(" ")[0] if kind != "first token" else "text"
    rows, make = (request.getfixturevalue(f"{name}_{what}") for what in ("rows", "plan"))
    more = {
        "answer in parts": {"gradient_accumulation": 2, "gradient_checkpointing": True},
        "answer in float32": {"precision": "float32"},
        "text with fast input diagonals": {"input_diagonal_lr_ratio": 8.0},
        "answer with fast input diagonals": {"input_diagonal_lr_ratio": 8.0},
    }
    plan = make(method, max_steps=12, weight_decay=0.1, seed=3, **more.get(kind, {}))
    if kind == "first token":
        folder = str(request.getfixturevalue("roberta_folder"))
        model = dataclasses.replace(get_model("roberta_base"), source="local", location=folder)
        plan = dataclasses.replace(plan, model=model)
    if kind == "image":
        plan = dataclasses.replace(plan, model=OfNoHub(**vars(plan.model)))
    run = trained(plan, rows)
    write_script(run, tmp_path / "out", rows)
    text = (tmp_path / "out" / "train.py").read_text()
    assert not any("cdvft_app" in one.read_text() for one in (tmp_path / "out").glob("*.py"))
    assert ("import cdvft" in text or "from cdvft" in text) == (
        method == "cdvft" or name in ("text", "number")
    )
    names = ran(tmp_path / "out", text)
    expected = losses(store, run)
    assert len(expected) == 12 and len({round(loss, 4) for loss in expected}) > 6
    assert names["losses"] == pytest.approx(expected, abs=1e-5)
    again = names["metric"] if name == "answer" else names["trainer"].evaluate()["eval_metric"]
    assert again == pytest.approx(run.record.metric)
    if name == "answer":
        kept = predictions.read_answers(store.folder(run.record.id))
        written = [one.written.removesuffix("…") for one in kept.entries]
        if names["bf16"]:  # rounded elsewhere on the way; a word of this model depends on the last digits
            alike = [one[:1] == other[:1] for one, other in zip(names["answers"], written, strict=True)]
            assert sum(alike) >= 0.9 * len(written)
        else:
            assert names["answers"] == written
    if method in ("cdvft", "lora"):
        kept, again = (
            load_file(folder / "adapter_model.safetensors")
            for folder in (run.folder, tmp_path / "out" / "adapter")
        )
        assert kept.keys() == again.keys()
        assert all((kept[name] - again[name]).abs().max() < 1e-4 for name in kept)


@pytest.mark.parametrize("kind", ["text", "answer"])
def test_the_script_ends_at_the_step_that_the_run_kept(kind, request, trained, monkeypatch, tmp_path):
    store = request.getfixturevalue("store")
    rows, make = (request.getfixturevalue(f"{kind}_{what}") for what in ("rows", "plan"))
    rows = dataclasses.replace(rows, validation=rows.evaluation)
    monkeypatch.setattr(BestStep, "is_before", lambda self, other: self.step <= 6)
    run = trained(make("lora", max_steps=12, seed=3), rows)
    assert run.record.result["best_step"] == 6 and run.record.step == 12
    write_script(run, tmp_path / "out", rows)
    names = ran(tmp_path / "out", (tmp_path / "out" / "train.py").read_text())
    assert names["losses"] == pytest.approx(losses(store, run)[:6], abs=1e-5)
    kept, again = (
        load_file(folder / "adapter_model.safetensors")
        for folder in (run.folder, tmp_path / "out" / "adapter")
    )
    assert all((kept[name] - again[name]).abs().max() < 1e-4 for name in kept)


@pytest.mark.parametrize("bits", [None, 8, 4])
def test_a_script_whose_frozen_weights_are_rounded_is_python(bits, answer_plan):
    dataset = answer_plan("lora", max_steps=1).dataset
    text = writer_text(about='""', dataset=dataset, method="LoraConfig(r=8)", settings={"SEED": 0}, bits=bits)
    compile(text, "train.py", "exec")
    assert ("quantization_config" in text) == (bits is not None)
    assert ("support_avx512bf16_for_cpu = False" in text) == (bits == 4)


def test_a_script_says_that_its_steps_are_not_compiled(trained, text_plan, text_rows, tmp_path):
    for compiled in (False, True):
        run = trained(text_plan("head", max_steps=1, torch_compile=compiled), text_rows)
        write_script(run, tmp_path / str(compiled), text_rows)
        first, _, rest = (tmp_path / str(compiled) / "train.py").read_text().partition("\n")
        assert ("with compiled steps, which these are not" in first) == compiled
        assert "compile" not in rest


TEN_STEPS = """
import gc, json, sys
gc.disable()  # a quarter of what the imports take
from pathlib import Path
from transformers import TrainerCallback

class Ten(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step == 10

names = {"__name__": "__main__", "Ten": Ten}
code = Path("train.py").read_text()
exec(code.replace("trainer.train()", "trainer.add_callback(Ten()); trainer.train()"), names)
assert names["STEPS"] == 128
assert "cdvft_app" not in sys.modules and "cdvft" in sys.modules
print(json.dumps(names["losses"]))
"""


def statements(code: str) -> list[str]:
    """What Python runs of it: each statement, without comments; a text of its own does nothing."""
    tree = ast.parse(code)
    texts = [one for one in tree.body if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)]
    return [ast.dump(one) for one in tree.body if one not in texts]


def code_of(notebook: Path) -> str:
    cells = json.loads(notebook.read_text())["cells"]
    return "\n\n".join(cell["source"] for cell in cells if cell["cell_type"] == "code")


@pytest.mark.mirror
def test_both_train_the_offline_recipe_as_the_app_does(store, hub_cache, tmp_path):
    """The recipe `sentiment` with its own schedule, in another process, as far as its tenth step.

    The script is run; the notebook has each of its statements, in its order, and no other.
    """
    plan = resolve(RunSettings(recipe="sentiment", method="cdvft", evaluation_examples=64))
    (made,) = store.create([plan.settings], None, "Films")
    folder = store.make_folder(made.id)
    heard, _ = listening.run(plan, None, folder, stop_after=10)
    for event in heard:
        store.append(made.id, event)
    run = FinishedRun(store.get(made.id), plan, folder / "adapter")
    write_script(run, tmp_path / "out")
    write_script(run, tmp_path / "notebook", as_notebook=True)
    script = (tmp_path / "out" / "train.py").read_text()
    assert statements(code_of(tmp_path / "notebook" / "train.ipynb")) == statements(script)
    names = {"HF_HUB_CACHE": str(hub_cache), "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", TEN_STEPS],
        cwd=tmp_path / "out",
        env={**os.environ, **names, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-1500:]
    expected = [heard.losses()[step] for step in range(1, 11)]
    assert len({round(loss, 4) for loss in expected}) > 6
    assert json.loads(ended.stdout.splitlines()[-1])[:10] == pytest.approx(expected, abs=1e-5)


def test_the_notebook_is_the_script_in_cells(trained, text_plan, text_rows, store, tmp_path):
    run = trained(text_plan("cdvft", max_steps=3), text_rows)
    write_script(run, tmp_path / "out", text_rows, as_notebook=True)
    notebook = json.loads((tmp_path / "out" / "train.ipynb").read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = notebook["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells) > 8
    code = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
    assert code[0].splitlines()[0] == "import math" and not any("# %%" in text for text in code)
    names = ran(tmp_path / "out", "\n\n".join(code))
    assert names["losses"] == pytest.approx(losses(store, run), abs=1e-5)
