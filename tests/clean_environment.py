"""Virtual environments with what a test installs, and links to packages of the environment of the tests."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement


def create(folder: Path, requirements: Iterable[str] = ()) -> Path:
    """The interpreter of a new virtual environment, with links to the required packages and theirs."""
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    linked = python.parents[1] / "linked"  # where dill takes them for installed ones
    linked.mkdir()
    for distribution in with_dependencies(requirements):
        _link(distribution, linked)
    (site_packages(python) / "linked.pth").write_text(f"{linked}\n")
    return python


def install(python: Path, *wheels: Path) -> None:
    """Install wheels, without what they require."""
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", "--force-reinstall")
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", *options, *map(str, wheels)]
    subprocess.run(command, check=True)


def site_packages(python: Path) -> Path:
    """Where a virtual environment's packages are installed."""
    (site,) = (python.parents[1] / "lib").glob("python*/site-packages")
    return site


def with_dependencies(requirements: Iterable[str]) -> list[metadata.Distribution]:
    """The installed distributions of these requirements, and all that those require."""
    names = [Requirement(one).name for one in requirements]
    found: dict[str, metadata.Distribution] = {}
    while names:
        name = re.sub(r"[-_.]+", "-", names.pop()).lower()
        if name in found:
            continue
        found[name] = metadata.distribution(name)
        needed = map(Requirement, found[name].requires or [])
        names += [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    return list(found.values())


def _link(distribution: metadata.Distribution, folder: Path) -> None:
    tops = {Path(str(file)).parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}
    for top in tops:
        if not (folder / top).exists():
            (folder / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())
