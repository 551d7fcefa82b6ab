"""Both wheels, each installed into a clean environment: the library alone, the studio with its command."""

from __future__ import annotations

import subprocess
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest
import torch
import wheels
from clean_environment import create, install, site_packages
from packaging.requirements import Requirement
from peft import get_peft_model
from torch import nn

import cdvft

LIBRARY = wheels.ROOT / "cdvft"
NOT_INSTALLED = {"setup.py", "pyproject.toml", "README.md", "LICENSE"}
LOAD = """
import sys
import torch
from torch import nn
import peft

def load():
    return peft.PeftModel.from_pretrained(nn.Sequential(nn.Linear(6, 6)), sys.argv[1])

try:
    load()
except KeyError as error:
    print(error)
import cdvft
assert "cdvft_app" not in sys.modules
model = load()
print(type(model.base_model).__name__, float(model.base_model.model[0].cdvft_diagonals["default"][0][0]))
"""


def run(python: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(python), "-I", *map(str, arguments)]
    return subprocess.run(command, cwd=python.parent, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def library_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    python = create(tmp_path_factory.mktemp("library"), ("torch", "peft", "wrapt"))
    install(python, wheels.library())
    return python


def test_the_librarys_wheel_has_every_module_and_source_and_nothing_of_the_studio() -> None:
    ours = {
        f"cdvft/{file.relative_to(LIBRARY).as_posix()}"
        for file in LIBRARY.rglob("*")
        if file.is_file() and not {"__pycache__", "build"} & set(file.parts) and file.suffix != ".so"
    } - {f"cdvft/{name}" for name in NOT_INSTALLED}
    found = {name for name in zipfile.ZipFile(wheels.library()).namelist() if not name.startswith("cdvft-")}
    assert found == ours
    (about,) = distributions(path=[str(wheels.library())])
    assert (about.name, about.version) == ("cdvft", cdvft.__version__)
    needed = {Requirement(one).name for one in about.requires if "extra" not in one}
    assert needed == {"torch", "peft", "wrapt"}
    assert (LIBRARY / "LICENSE").read_text() == (wheels.ROOT / "LICENSE").read_text()


def test_the_studios_wheel_has_the_app_its_catalogue_assets_and_command_and_needs_the_library() -> None:
    names = zipfile.ZipFile(wheels.studio()).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"cdvft_app", f"cdvft_studio-{cdvft.__version__}.dist-info"}
    assert {f"cdvft_app/catalog/{name}.json" for name in ("models", "datasets", "recipes")} <= {*names}
    for folder in ("css", "js", "recorded_runs"):
        assert any(name.startswith(f"cdvft_app/assets/{folder}/") for name in names), folder
    (about,) = distributions(path=[str(wheels.studio())])
    assert (about.name, about.version) == ("cdvft-studio", cdvft.__version__)
    (needed,) = (Requirement(one) for one in about.requires if "extra" not in one)
    assert needed.name == "cdvft" and needed.specifier.contains(cdvft.__version__)
    (command,) = about.entry_points
    assert (command.name, command.value) == ("cdvft", "cdvft_app.__main__:main")


@pytest.mark.nightly
def test_nothing_of_the_library_runs_where_it_is_not_imported(library_alone: Path) -> None:
    assert {file.name for file in site_packages(library_alone).glob("*.pth")} == {"linked.pth"}
    ended = run(library_alone, "-c", "import sys; print([name for name in sys.modules if 'cdvft' in name])")
    assert ended.stdout == "[]\n", ended.stderr


@pytest.mark.nightly
def test_a_saved_adapter_loads_after_the_import_and_peft_names_the_method_without(
    library_alone: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    config = cdvft.CDVFTConfig(target_modules=["0"], init_weights="zero_output")
    get_peft_model(nn.Sequential(nn.Linear(6, 6)), config).save_pretrained(tmp_path)
    ended = run(library_alone, "-c", LOAD, tmp_path)
    assert ended.stdout.split() == ["'CDVFT'", "CDVFTModel", "1.0"], ended.stderr[-2000:]
    card = (tmp_path / "README.md").read_text()
    assert "import cdvft" in card and "KeyError: 'CDVFT'" in card


def test_the_studios_command_says_what_to_install_where_its_packages_are_missing(tmp_path: Path) -> None:
    python = create(tmp_path)
    install(python, wheels.library(), wheels.studio())
    ended = subprocess.run([python.with_name("cdvft"), "train"], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == "The commands need typer, which is missing: pip install 'cdvft-studio[app]'\n"
