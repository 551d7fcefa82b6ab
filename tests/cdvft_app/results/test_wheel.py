from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
import wheels

from cdvft_app.results import requirements
from cdvft_app.results.requirements import write_requirements

ROOT = Path(__file__).parents[3]


def test_it_has_the_same_files_as_the_wheel_that_is_built_of_the_source(tmp_path):
    requirements.write_wheel(tmp_path / requirements.WHEEL)
    exported, built = (
        {name: archive.read(name) for name in archive.namelist() if not name.startswith("cdvft-")}
        for archive in map(zipfile.ZipFile, (tmp_path / requirements.WHEEL, wheels.library()))
    )
    assert exported == built


def test_it_is_the_same_each_time(tmp_path):
    for name in ("one", "two"):
        requirements.write_wheel(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_it_asks_for_what_the_project_asks_for():
    project = (ROOT / "cdvft" / "pyproject.toml").read_text()
    found = re.search(r"^dependencies = \[(.*)\]$", project, re.MULTILINE)
    assert found
    named = [one.strip(' "') for one in re.findall(r'"[^"]*"', found[1])]
    assert named == list(requirements.REQUIRES)
    assert 'version = { attr = "cdvft.__version__" }' in project


def test_requirements_pin_what_is_installed_and_bring_the_library(tmp_path):
    write_requirements("text", tmp_path, with_peft=False, with_library=True)
    lines = (tmp_path / "requirements.txt").read_text().splitlines()
    assert lines[-1] == f"./{requirements.WHEEL}" and (tmp_path / requirements.WHEEL).is_file()
    names = [line.partition("==")[0] for line in lines[:-1]]
    assert {"torch", "transformers", "peft"} <= set(names) and "gradio" not in names
    assert all(re.fullmatch(r"[\w-]+==\d+(\.\d+)+", line) for line in lines[:-1])


def test_a_run_in_4_bits_is_exported_where_their_package_is_not(without_bitsandbytes, tmp_path):
    """It may have trained elsewhere, and come home."""
    write_requirements("text", tmp_path, with_peft=True, with_library=False, more=("bitsandbytes",))
    assert (tmp_path / "requirements.txt").read_text().splitlines()[-1] == "bitsandbytes>=0.48"


@pytest.mark.parametrize("with_peft", [True, False])
def test_what_needs_no_cdvft_gets_none_and_what_needs_no_peft_neither(tmp_path, with_peft):
    write_requirements("image", tmp_path, with_peft=with_peft, with_library=False)
    assert [path.name for path in tmp_path.iterdir()] == ["requirements.txt"]
    lines = (tmp_path / "requirements.txt").read_text().splitlines()
    names = [line.partition("==")[0] for line in lines]
    assert names == ["torch", "torchvision", "timm", "safetensors", *(["peft"] if with_peft else [])]
