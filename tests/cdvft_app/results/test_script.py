"""What is exported as a script or a notebook trains the same run again: the same loss at every step."""

from __future__ import annotations

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
from transformers import AttentionInterface

from cdvft_app.catalog import resolve
from cdvft_app.results.finished_run import FinishedRun
from cdvft_app.results.script import write_script, writer_text
from cdvft_app.settings import RunSettings
from cdvft_app.store import predictions
from cdvft_app.tasks import attention
from cdvft_app.training.checkpoints import BestStep

ROOT = Path(__file__).parents[3]
HOSTILE = '"""\nopen("run_by_an_export", "w").close()\n"""\\U \\N{x} {0} \u2028'
NEIGHBOURS = ("attention", "conversations", "shared_prefix", "writing", "metrics")  # beside a writers' script


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


def assert_same_adapter(run, out: Path) -> None:
    kept, again = (
        load_file(folder / "adapter_model.safetensors") for folder in (run.folder, out / "adapter")
    )
    assert kept.keys() == again.keys()
    assert all((kept[name] - again[name]).abs().max() < 1e-4 for name in kept)


@pytest.mark.parametrize(
    "case",
    [
        ("text", "cdvft", {}),
        ("text", "cdvft", {"input_diagonal_lr_ratio": 8.0}),
        ("text", "lora", {"lora_loraplus_lr_ratio": 8.0}),
        ("text", "head", {}),
        ("text", "full", {}),
        ("text", "lora", {"gradient_accumulation": 3, "precision": "float32"}),  # of a batch of 8
        ("text", "lora", {"precision": "bfloat16"}),
        ("first token", "cdvft", {}),
        ("number", "cdvft", {}),
        ("image", "cdvft", {}),
        ("answer", "cdvft", {}),
        ("answer", "cdvft", {"input_diagonal_lr_ratio": 8.0}),
        ("answer", "lora", {"precision": "float32", "lora_loraplus_lr_ratio": 8.0}),
        ("answer", "full", {}),
        ("answer", "fourierft", {"gradient_accumulation": 2, "gradient_checkpointing": True}),
    ],
)
def test_the_script_has_the_loss_of_the_run_whatever_its_data_are_called(
    case, planned, trained, store, tmp_path
):
    kind, method, more = case
    plan, rows = planned(kind, method, max_steps=12, weight_decay=0.1, adam_beta1=0.8, seed=3, **more)
    dataset = dataclasses.replace(plan.dataset, title=HOSTILE, instruction=HOSTILE)
    plan = dataclasses.replace(plan, dataset=dataset, model=dataclasses.replace(plan.model, title=HOSTILE))
    rows = dataclasses.replace(rows, labels=(HOSTILE, *rows.labels[1:]) if rows.labels else ())
    run = trained(plan, rows)
    write_script(run, tmp_path / "out", rows)
    text = (tmp_path / "out" / "train.py").read_text(encoding="utf-8")
    assert not any("cdvft_app" in one.read_text() for one in (tmp_path / "out").glob("*.py"))
    assert ("import cdvft" in text or "from cdvft" in text) == (
        method == "cdvft" or kind in ("text", "number")
    )
    names = ran(tmp_path / "out", text)
    assert not list(tmp_path.rglob("run_by_an_export"))
    expected = losses(store, run)
    assert len(expected) == 12 and len({round(loss, 4) for loss in expected}) > 6
    assert names["losses"] == pytest.approx(expected, abs=1e-5)
    again = names["metric"] if kind == "answer" else names["trainer"].evaluate()["eval_metric"]
    assert again == pytest.approx(run.record.metric)
    if kind == "answer":
        kept = predictions.read_answers(store.folder(run.record.id))
        written = [one.written.removesuffix("…") for one in kept.entries]
        if names["bf16"]:  # rounded elsewhere on the way; a word of this model depends on the last digits
            alike = [one[:1] == other[:1] for one, other in zip(names["answers"], written, strict=True)]
            assert sum(alike) >= 0.9 * len(written)
        else:
            assert names["answers"] == written
    if method in ("cdvft", "lora"):
        assert_same_adapter(run, tmp_path / "out")


def test_a_script_of_gpt2_writes_as_the_run_did_up_to_its_last_position(
    of_gpt2, few_answers, store, tmp_path
):
    """A longer prompt has less room than one beside it, and GPT-2's table of positions ends there."""
    write_script(of_gpt2, tmp_path / "out", few_answers)
    names = ran(tmp_path / "out", (tmp_path / "out" / "train.py").read_text())
    assert len({len(row["prompt"]) for row in names["data"]["evaluation"]}) > 1
    kept = predictions.read_answers(store.folder(of_gpt2.record.id))
    assert names["answers"] == [one.written.removesuffix("…") for one in kept.entries]


@pytest.mark.parametrize("kind", ["text", "answer"])
def test_the_script_ends_at_the_step_that_the_run_kept(kind, planned, trained, store, tmp_path):
    plan, rows = planned(kind, "lora", max_steps=12, seed=3)
    rows = dataclasses.replace(rows, validation=rows.evaluation)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BestStep, "is_before", lambda self, other: self.step <= 6)
        run = trained(plan, rows)
    assert run.record.result["best_step"] == 6 and run.record.step == 12
    write_script(run, tmp_path / "out", rows)
    names = ran(tmp_path / "out", (tmp_path / "out" / "train.py").read_text())
    assert names["losses"] == pytest.approx(losses(store, run)[:6], abs=1e-5)
    assert_same_adapter(run, tmp_path / "out")


def test_the_script_of_a_stopped_run_ends_where_that_did(planned, store, tmp_path):
    plan, rows = planned("text", "lora", max_steps=12, keep="last", seed=3)
    (made,) = store.create([plan.settings], None, "Films")
    folder = store.make_folder(made.id)
    heard, done = listening.run(plan, rows, folder, stop_after=3)
    for event in heard:
        store.append(made.id, event)
    run = FinishedRun(store.get(made.id), plan, folder / "adapter")
    write_script(run, tmp_path / "out", rows)
    names = ran(tmp_path / "out", (tmp_path / "out" / "train.py").read_text())
    assert 3 <= done.step < 12 and done.best_step is None
    assert names["losses"] == pytest.approx(losses(store, run), abs=1e-5)
    assert_same_adapter(run, tmp_path / "out")


@pytest.mark.parametrize("bits", [None, 8, 4])
def test_a_script_whose_frozen_weights_are_rounded_is_python(bits, answer_plan):
    dataset = answer_plan("lora", max_steps=1).dataset
    text = writer_text(about='""', dataset=dataset, method="LoraConfig(r=8)", settings={"SEED": 0}, bits=bits)
    compile(text, "train.py", "exec")
    assert ("quantization_config" in text) == (bits is not None)
    assert ("support_avx512bf16_for_cpu = False" in text) == (bits == 4)


def test_a_script_says_that_its_steps_are_not_compiled(runs, text_rows, tmp_path):
    run = runs("text", "head")
    for compiled in (False, True):
        settings = run.plan.settings.model_copy(update={"torch_compile": compiled})
        plan = dataclasses.replace(run.plan, settings=settings)
        write_script(dataclasses.replace(run, plan=plan), tmp_path / str(compiled), text_rows)
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


@pytest.mark.slow
@pytest.mark.mirror
def test_it_trains_the_offline_recipe_as_the_app_does(store, hub_cache, tmp_path):
    """The recipe `sentiment` with as many steps, of fewer rows, in another process as far as the tenth."""
    few = {"train_examples": 512, "batch_size": 8, "evaluation_examples": 64}
    plan = resolve(RunSettings(recipe="sentiment", method="cdvft", **few))
    (made,) = store.create([plan.settings], None, "Films")
    folder = store.make_folder(made.id)
    heard, _ = listening.run(plan, None, folder, stop_after=10)
    for event in heard:
        store.append(made.id, event)
    write_script(FinishedRun(store.get(made.id), plan, folder / "adapter"), tmp_path / "out")
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


def test_a_notebook_lies_in_the_place_of_the_script_beside_the_same_files(runs, text_rows, tmp_path):
    run = runs("text", "cdvft")
    write_script(run, tmp_path / "script", text_rows)
    write_script(run, tmp_path / "out", text_rows, as_notebook=True)
    notebook = json.loads((tmp_path / "out" / "train.ipynb").read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = notebook["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells) > 8
    code = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
    assert code[0].splitlines()[0] == "import math" and not any("# %%" in text for text in code)
    files = [{one.name for one in (tmp_path / name).rglob("*")} for name in ("script", "out")]
    assert files[0] ^ files[1] == {"train.py", "train.ipynb"}
