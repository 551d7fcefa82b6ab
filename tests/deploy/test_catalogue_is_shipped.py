"""The catalogue's data files reach every place that the program is carried to."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import wheels

from cdvft_app import catalog
from cdvft_app.hub_jobs.job import pack_code
from deploy.build_space import build

COUNT = """from cdvft_app import catalog
print(catalog.__file__, *map(len, (catalog.MODELS, catalog.DATASETS, catalog.RECIPES)))"""


def wheel(there: Path) -> None:
    for built in (wheels.library(), wheels.studio()):
        zipfile.ZipFile(built).extractall(there)


def job(there: Path) -> None:
    file = there.with_name("studio.zip")
    pack_code(file)
    zipfile.ZipFile(file).extractall(there)


@pytest.mark.parametrize("carry", [wheel, job, build])
def test_all_models_datasets_and_recipes_are_there(carry: Callable[[Path], object], tmp_path: Path) -> None:
    there = tmp_path / "there"
    carry(there)
    file, *counts = subprocess.check_output([sys.executable, "-c", COUNT], cwd=there, text=True).split()
    assert Path(file).is_relative_to(there)
    here = [len(entries) for entries in (catalog.MODELS, catalog.DATASETS, catalog.RECIPES)]
    assert [*map(int, counts)] == here and min(here) > 10
