"""What offline recipes train is loaded where there is no app, by the lines on its card, and answers the same.

A virtual environment of its own, in which pip installs the wheel that travels with an adapter. The large
libraries are not installed twice: those that the adapter's requirements.txt names, and what they need in turn
are linked from the environment of the tests. Nothing else is there.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from packaging.requirements import Requirement
from PIL import Image

from cdvft_app.catalog import resolve
from cdvft_app.catalog.dataset_readers import load_rows
from cdvft_app.results.exporters import AS_TRAINED, Export
from cdvft_app.results.finished_run import find
from cdvft_app.results.requirements import REQUIRES, WHEEL
from cdvft_app.settings import RunSettings
from cdvft_app.store import recorded
from cdvft_app.training import trainable

pytestmark = pytest.mark.mirror
TEXT = "a gripping, funny and deeply human film"
DIGIT = np.kron(np.eye(7, dtype=np.uint8) * 255, np.ones((4, 4), np.uint8))  # 28 x 28
ROOT = Path(__file__).parents[3]
QUIETLY = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index")
KNOWN = """
import importlib.util, pathlib, sys
assert pathlib.Path(importlib.util.find_spec("cdvft").origin).is_relative_to(sys.prefix)
import peft  # and nobody imports cdvft
print(peft.PeftConfig.from_pretrained(sys.argv[1]).peft_type.value)
"""
CHECK = """
import contextlib, importlib.util, io, json, os, pathlib, sys
assert not [name for name in ("cdvft_app", "gradio", "datasets") if importlib.util.find_spec(name)]
assert pathlib.Path(importlib.util.find_spec("cdvft").origin).is_relative_to(sys.prefix)
import peft  # and nobody imports cdvft
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


def needed(requirements: Path) -> list[metadata.Distribution]:
    """The installed packages that a requirements.txt names, and all that those need."""
    names = [line.partition("==")[0] for line in requirements.read_text().splitlines() if "==" in line]
    names += [Requirement(one).name for one in REQUIRES]
    found: dict[str, metadata.Distribution] = {}
    while names:
        name = re.sub(r"[-_.]+", "-", names.pop()).lower()
        if name in found:
            continue
        found[name] = metadata.distribution(name)
        wanted = map(Requirement, found[name].requires or [])
        names += [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    return list(found.values())


def link(distribution: metadata.Distribution, site: Path) -> None:
    tops = {Path(str(file)).parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}
    for top in tops:
        if not (site / top).exists():
            (site / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())


def pip(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "pip", *map(str, arguments)], check=True)


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


@pytest.fixture
def python(tmp_path_factory, exported):
    """The interpreter of a clean environment of the test's own, for tests install into it."""
    out, own = exported
    place = tmp_path_factory.mktemp("clean")
    venv.create(place / "venv", with_pip=False, symlinks=True)
    (packages,) = (place / "venv" / "lib").glob("python*/site-packages")
    (place / "borrowed").mkdir()
    for name in own:
        for distribution in needed(out / name / "requirements.txt"):
            link(distribution, place / "borrowed")
    (packages / "borrowed.pth").write_text(f"{place / 'borrowed'}\n")
    interpreter = place / "venv" / "bin" / "python"
    pip("--python", interpreter, "install", *QUIETLY, out / "mnist" / WHEEL)
    return interpreter


def test_the_adapters_of_every_offline_recipe_answer_as_in_the_app(exported, python, hub_cache, tmp_path):
    out, own = exported
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


def test_pip_installs_from_source_what_wakes_it_with_peft_and_the_kernel(python, tmp_path):
    source = tmp_path / "source"  # a build leaves folders beside what it builds
    source.mkdir()
    for name in ("cdvft", "cdvft_app"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("cdvft.pth", "cdvft_startup.py", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip("wheel", *QUIETLY, "--no-build-isolation", "--wheel-dir", tmp_path, source)
    (built,) = tmp_path.glob("*.whl")
    pip("--python", python, "install", *QUIETLY, "--force-reinstall", built)
    command = [str(python), "-I", "-c", KNOWN, str(recorded.FOLDER / "recorded-sentiment-cdvft" / "adapter")]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.stdout.split(), ended.returncode) == (["CDVFT"], 0), ended.stderr[-1500:]
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
