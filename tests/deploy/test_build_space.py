"""The folder that is pushed to a Space, and what the hub reads of it."""

from __future__ import annotations

import re
import subprocess
import sys

import gradio
import pytest
from huggingface_hub import SpaceCard, SpaceHardware

from deploy.build_space import MAX_BYTES, ROOT, build, requirements

# https://huggingface.co/docs/hub/spaces-config-reference and spaces-zerogpu
ZERO_GPU_PYTHONS = ("3.12",)
COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
MAX_WORDS = 60  # characters of the short description


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    there = tmp_path_factory.mktemp("space") / "space"
    build(there, "you/studio")
    return there


@pytest.fixture(scope="module")
def card(space):
    return SpaceCard.load(space / "README.md")


def test_it_holds_what_a_space_needs_and_no_more(space):
    assert sum(file.stat().st_size for file in space.rglob("*") if file.is_file()) < MAX_BYTES == 30_000_000
    names = {path.name for path in space.iterdir()}
    assert {"app.py", "requirements.txt", "README.md", "LICENSE", "cdvft", "cdvft_app", "assets"} <= names
    assert not {"tests", "node_modules", "Makefile", ".git", ".venv"} & names
    assert not list(space.rglob("__pycache__")) and not list(space.rglob("test_*"))


@pytest.mark.nightly
def test_its_page_is_found_from_there(space):
    names = "import cdvft_app.catalog, cdvft_app.ui.learn.lab_table as table, cdvft_app.results.requirements"
    asked = "cdvft_app.ASSETS.is_dir(), len(table.recorded_table()) > 0, len(cdvft_app.catalog.RECIPES) > 10"
    told = subprocess.check_output([sys.executable, "-c", f"{names}; print({asked})"], cwd=space, text=True)
    assert told.split() == ["True"] * 3


def test_it_is_made_anew_and_never_over_something_else(space, tmp_path):
    (space / "old.py").touch()
    build(space, "you/studio")
    assert not (space / "old.py").exists()
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match="holds something else"):
        build(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_its_torch_is_one_that_zero_gpu_offers_and_people_and_agents_are_served(space):
    here, there = ((folder / "requirements.txt").read_text().splitlines() for folder in (ROOT, space))
    changed = {line.split("#")[0].strip() for line in there if line not in here}
    assert changed == {"torch>=2.8,<2.12", "gradio[oauth,mcp]>=6.31,<7"}
    unchanged = [line for line in here if not line.startswith(("torch>", "gradio>"))]
    assert [line for line in there if line in here] == unchanged
    with pytest.raises(ValueError, match="0 lines for torch"):
        requirements("gradio\n")


def test_the_hub_reads_its_card(card, space):
    data = card.data
    assert (data.sdk, data.app_file, data.license) == ("gradio", "app.py", "apache-2.0")
    assert data.sdk_version == gradio.__version__
    assert data.python_version in ZERO_GPU_PYTHONS
    assert SpaceHardware(data.suggested_hardware) is SpaceHardware.ZERO_A10G
    assert data.colorFrom in COLOURS and data.colorTo in COLOURS and len(data.emoji) <= 2
    assert len(data.short_description) <= MAX_WORDS
    assert data.hf_oauth is True and data.hf_oauth_scopes == ["contribute-repos"]
    assert data.thumbnail.startswith("https://huggingface.co/spaces/you/studio/resolve/main/")
    assert (space / data.thumbnail.partition("/resolve/main/")[2]).is_file()
    for one in [*data.models, *data.datasets, *(line.split()[0] for line in data.preload_from_hub)]:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", one)
