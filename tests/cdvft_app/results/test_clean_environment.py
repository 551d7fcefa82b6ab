"""An exported adapter loads without the app, by the lines on its card, and gives the same logits.

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

pytestmark = [pytest.mark.mirror, pytest.mark.nightly]
TEXT = "a gripping, funny and deeply human film"
DIGIT = np.kron(np.eye(7, dtype=np.uint8) * 255, np.ones((4, 4), np.uint8))  # 28 x 28
ROOT = Path(__file__).parents[3]
CHECK = """
import contextlib, gc, importlib.util, io, json, os, pathlib, sys
gc.disable()  # a quarter of what the imports take
assert not [name for name in ("cdvft_app", "gradio", "datasets") if importlib.util.find_spec(name)]
assert pathlib.Path(importlib.util.find_spec("cdvft").origin).is_relative_to(sys.prefix)
folders = [pathlib.Path(one) for one in sys.argv[1:]]
import cdvft, importlib.metadata, peft
assert importlib.metadata.version("cdvft") == cdvft.__version__
assert peft.PeftConfig.from_pretrained(folders[0]).peft_type == "CDVFT"
said = {}
for folder in folders:
    os.chdir(folder)
    lines = pathlib.Path("README.md").read_text().partition("```python\\n")[2].partition("\\n```")[0]
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(lines.replace("your text", TEXT), names)
    said[folder.name] = names["logits"].reshape(-1).tolist()
print(json.dumps(said))
"""


@pytest.mark.slow
def test_card_lines_load_adapters_without_the_app(trained, store, hub_cache, tmp_path):
    names = ("recorded-sentiment-cdvft", "recorded-sentiment-lora")
    few = {"max_steps": 1, "train_examples": 8, "evaluation_examples": 8, "batch_size": 8}
    plan = resolve(RunSettings(recipe="mnist", method="cdvft", **few))
    rows = load_rows(plan.dataset, train_examples=8, evaluation_examples=8, seed=0)
    runs = {name: find(store, name) for name in names} | {"mnist": trained(plan, rows)}
    own, needed = {}, list(REQUIRES)
    for name, run in runs.items():
        AS_TRAINED.write_folder(Export(store, run), tmp_path / name)
        Image.fromarray(DIGIT).save(tmp_path / name / "your_image.png")
        task = trainable.load_trained(run.plan, run.folder)[0]
        own[name] = task.logits([DIGIT if name == "mnist" else TEXT]).reshape(-1)
        needed += re.findall(r".+==.+", (tmp_path / name / "requirements.txt").read_text())
    python = create(tmp_path, needed)
    install(python, tmp_path / "mnist" / WHEEL)
    alone = {"HF_HUB_CACHE": str(hub_cache), "HF_HUB_OFFLINE": "1", "PATH": "", "HOME": str(tmp_path)}
    command = [python, "-I", "-c", CHECK.replace("TEXT", repr(TEXT)), *(tmp_path / name for name in runs)]
    ended = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-1500:]
    for name, logits in json.loads(ended.stdout.splitlines()[-1]).items():
        torch.testing.assert_close(torch.tensor(logits), own.pop(name), rtol=0, atol=2e-5, msg=name)
    assert not own


def test_source_wheel_has_kernels_for_each_processor(tmp_path):
    python, built = create(tmp_path, REQUIRES), wheels.library(compiled=True)
    install(python, built)
    # A kernel for each kind of this processor's instructions, that of the wheel, with no compiler in reach.
    assert built.name.endswith(f"-py3-none-{re.sub('[-.]', '_', sysconfig.get_platform())}.whl")
    program = ROOT / "tests" / "cdvft" / "kernels" / "installed_kernel.py"
    command = [python, "-I", "-c", f"import gc, runpy; gc.disable(); runpy.run_path({str(program)!r})"]
    alone = {"PATH": "", "HOME": str(tmp_path)}
    ended = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-1500:]
    loaded = [Path(line) for line in ended.stdout.splitlines()]
    assert len(loaded) > 1 or platform.machine() != "x86_64"
    assert {file.parent for file in loaded} == {Path(*loaded[0].parts[: loaded[0].parts.index("native") + 1])}
    assert all(file.is_relative_to(python.parents[1]) for file in loaded) and not ended.stderr
