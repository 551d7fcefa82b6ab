"""What offline recipes train is loaded where there is no app, by the lines on its card, and answers the same.

A virtual environment of its own, in which pip installs the wheel that travels with an adapter. The large
libraries are not installed twice: those that the adapter's requirements.txt names, and what they need in turn
are linked from the environment of the tests. Nothing else is there.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import torch
import wheels
from clean_environment import create, install
from PIL import Image

from cdvft_app.catalog import resolve
from cdvft_app.catalog.dataset_readers import load_rows
from cdvft_app.results.exporters import AS_TRAINED, Export
from cdvft_app.results.finished_run import find
from cdvft_app.results.requirements import REQUIRES, WHEEL
from cdvft_app.settings import RunSettings
from cdvft_app.training import trainable

pytestmark = pytest.mark.mirror
TEXT = "a gripping, funny and deeply human film"
DIGIT = np.kron(np.eye(7, dtype=np.uint8) * 255, np.ones((4, 4), np.uint8))  # 28 x 28
ROOT = Path(__file__).parents[3]
CHECK = """
import contextlib, gc, importlib.util, io, json, os, pathlib, sys
gc.disable()  # a quarter of what the imports take
assert not [name for name in ("cdvft_app", "gradio", "datasets") if importlib.util.find_spec(name)]
assert pathlib.Path(importlib.util.find_spec("cdvft").origin).is_relative_to(sys.prefix)
import cdvft, peft
assert peft.PeftConfig.from_pretrained(os.environ["CDVFT_ADAPTER"]).peft_type == "CDVFT"
said = {}
for folder in sys.argv[1:]:
    os.chdir(folder)
    lines = pathlib.Path("README.md").read_text().partition("```python\\n")[2].partition("\\n```")[0]
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(lines.replace("your text", TEXT), names)
    said[pathlib.Path(folder).name] = names["logits"].reshape(-1).tolist()
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory, trained, store):
    """By name, an exported folder and the app's own logits for what the card's lines are asked."""
    out = tmp_path_factory.mktemp("exported")
    runs = {name: find(store, name) for name in ("recorded-sentiment-cdvft", "recorded-sentiment-lora")}
    for recipe in ("mnist", "digits"):
        few = {"max_steps": 1, "train_examples": 8, "evaluation_examples": 8, "batch_size": 8}
        plan = resolve(RunSettings(recipe=recipe, method="cdvft", **few))
        rows = load_rows(plan.dataset, train_examples=8, evaluation_examples=8, seed=0)
        runs[recipe] = trained(plan, rows)
    assert {run.plan.recipe.key for run in runs.values()} == {"sentiment", "mnist", "digits"}
    own = {}
    for name, run in runs.items():
        AS_TRAINED.write_folder(Export(store, run), out / name)
        image = run.plan.model.kind == "image"
        if image:
            Image.fromarray(DIGIT).save(out / name / "your_image.png")
        own[name] = (
            trainable.load_trained(run.plan, run.folder)[0].logits([DIGIT if image else TEXT]).reshape(-1)
        )
    return out, own


def test_the_adapters_of_every_offline_recipe_answer_as_in_the_app(exported, hub_cache, tmp_path):
    out, own = exported
    needed = [line for name in own for line in (out / name / "requirements.txt").read_text().splitlines()]
    python = create(tmp_path, [*(line for line in needed if "==" in line), *REQUIRES])
    install(python, out / "mnist" / WHEEL)
    adapter = str(out / "recorded-sentiment-cdvft")
    names = {
        "CDVFT_ADAPTER": adapter,
        "HF_HUB_CACHE": str(hub_cache),
        "HF_HUB_OFFLINE": "1",
        "PATH": "",
        "HOME": str(tmp_path),
    }
    code = CHECK.replace("TEXT", repr(TEXT))
    command = [str(python), "-I", "-c", code, *(str(out / name) for name in own)]
    ended = subprocess.run(command, cwd=tmp_path, env=names, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-1500:]
    said = json.loads(ended.stdout.splitlines()[-1])
    for name, logits in own.items():
        torch.testing.assert_close(torch.tensor(said[name]), logits, rtol=0, atol=2e-5, msg=name)


def test_the_wheel_of_the_source_has_a_kernel_for_every_processor_of_the_platform(tmp_path):
    python, built = create(tmp_path, REQUIRES), wheels.library(compiled=True)
    install(python, built)
    # A kernel for each kind of this processor's instructions, that of the wheel, with no compiler in reach.
    assert built.name.endswith(f"-py3-none-{re.sub('[-.]', '_', sysconfig.get_platform())}.whl")
    command = [str(python), "-I", str(ROOT / "tests" / "cdvft" / "kernels" / "installed_kernel.py")]
    alone = {"PATH": "", "HOME": str(tmp_path)}
    ended = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-1500:]
    loaded = [Path(line) for line in ended.stdout.splitlines()]
    assert len(loaded) > 1 or platform.machine() != "x86_64"
    assert {file.parent for file in loaded} == {Path(*loaded[0].parts[: loaded[0].parts.index("native") + 1])}
    assert all(file.is_relative_to(python.parents[1]) for file in loaded) and not ended.stderr
