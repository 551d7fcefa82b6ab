"""The lock files hold what requirements*.txt ask for: pinned, hashed, whole, for every supported Python."""

from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement
from sources import ROOT

PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = {"Linux": "linux", "Darwin": "darwin", "Windows": "win32"}
ENVIRONMENTS = [
    {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "platform_system": system,
        "sys_platform": platform,
    }
    for python in PYTHONS
    for system, platform in PLATFORMS.items()
]
BY_DEVICE = {"torch", "torchvision"}
"""What requirements-torch.txt has in place of the lock files."""
FILES = ("requirements.txt", "requirements-dev.txt")


def lines(file: str) -> list[str]:
    """Requirements, one a line, those of included files too."""
    found = []
    for line in (ROOT / file).read_text().replace("\\\n", " ").splitlines():
        bare = line.partition(" #")[0].strip()
        if bare.startswith("-r "):
            found += lines(bare.removeprefix("-r "))
        elif bare and not bare.startswith("#"):
            found.append(bare)
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(file: str, environment: dict[str, str] | None = None) -> dict[str, str]:
    """The versions that a lock file gives one environment, by default this one."""
    pins = [Requirement(re.split(r"\s+--hash", line)[0]) for line in lines(file)]
    here = [pin for pin in pins if pin.marker is None or pin.marker.evaluate(environment)]
    versions = {canonical(pin.name): str(pin.specifier).removeprefix("==") for pin in here}
    assert len(versions) == len(here), "a package is pinned twice for one environment"
    return versions


def unmet(requirements: list[str], versions: dict[str, str], environment: dict[str, str]) -> list[str]:
    """Those of the requirements, torch's two aside, that no locked version meets."""
    asked = (Requirement(line) for line in requirements)
    return [
        str(one)
        for one in asked
        if canonical(one.name) not in BY_DEVICE
        and (one.marker is None or one.marker.evaluate({"extra": "", **environment}))
        and not one.specifier.contains(versions.get(canonical(one.name), "0.dev0"), prereleases=True)
    ]


@pytest.mark.parametrize("file", FILES)
def test_a_lock_file_is_current(file: str) -> None:
    lock = file.replace(".txt", ".lock")
    for environment in ENVIRONMENTS:
        missing = unmet(lines(file), locked(lock, environment), environment)
        assert not missing, f"{lock} does not hold {missing} on {environment}. Run: make lock"


@pytest.mark.parametrize("file", FILES)
def test_every_pin_has_hashes_and_no_index_is_named(file: str) -> None:
    lock = file.replace(".txt", ".lock")
    assert "://" not in (ROOT / lock).read_text()
    for line in lines(lock):
        assert re.fullmatch(r"[\w.-]+==[\w.]+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+", line), line
