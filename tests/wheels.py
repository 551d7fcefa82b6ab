"""Wheels of the two distributions, built once per test process from a copy: a build leaves folders behind.

And one that serves as an archive of a model.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
QUIET = ("--quiet", "--disable-pip-version-check", "--no-deps")
STUDIO = ("cdvft", "cdvft_app", "assets", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE")
_scratch = tempfile.TemporaryDirectory(prefix="cdvft-wheels-")


@functools.cache
def library(*, compiled: bool = False) -> Path:
    """The wheel of `cdvft`, with or without its compiled kernel."""
    folder = Path(tempfile.mkdtemp(dir=_scratch.name))
    _copy(ROOT / "cdvft", folder / "cdvft")
    return _build(folder, folder / "cdvft", compiled)


@functools.cache
def studio() -> Path:
    """The wheel of `cdvft-studio`."""
    folder = Path(tempfile.mkdtemp(dir=_scratch.name))
    for name in STUDIO:
        _copy(ROOT / name, folder / "source" / name)
    return _build(folder, folder / "source", compiled=False)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    else:
        shutil.copy(source, target)


def _build(folder: Path, source: Path, compiled: bool) -> Path:
    environment = {name: value for name, value in os.environ.items() if name != "CDVFT_PURE_WHEEL"}
    environment |= {} if compiled else {"CDVFT_PURE_WHEEL": "1"}
    command = [sys.executable, "-m", "pip", "wheel", *QUIET, "--no-build-isolation"]
    subprocess.run(
        [*command, "--wheel-dir", str(folder / "wheels"), str(source)], env=environment, check=True
    )
    (wheel,) = (folder / "wheels").glob("*.whl")
    return wheel


def make_wheel(folder: Path, content: bytes = b"weights" * 50_000) -> Path:
    """A wheel as pip accepts it, of an archive that has one member to read."""
    folder.mkdir(exist_ok=True)
    file = folder / "tiny_archive-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tiny_archive/model.bin", content)
        archive.writestr("tiny_archive/__init__.py", "raise SystemExit('this must never run')")
        info = "tiny_archive-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-archive\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return file
