"""Apply the patches to PEFT's sources, in a folder of its own, and run PEFT's checks and tests there.

    python -m upstream.check            # in a temporary folder
    python -m upstream.check FOLDER     # in a new folder, which is kept

The sources are the source distribution of the PEFT release that `tests/conformance` pins. Two test runs: the
rows that the patches add to PEFT's tests, as far as they need no model of the hub; then the rows of
`tests/conformance`, whose tiny models replace the hub's, with the patched PEFT's tuner in place of ours.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONFORMANCE = HERE.parent / "tests" / "conformance"
PATCHES = sorted(HERE.glob("patches/*.patch"))
OFFLINE = (
    "tests/test_cdvft.py",
    "tests/test_custom_models.py",
    "tests/test_config.py",
    "tests/test_target_parameters.py",
)
"""PEFT's test files whose rows for CDVFT need no model of the hub."""
STUBS = {
    "cdvft.py": "from peft import CDVFTConfig\n",  # what tests/conformance imports
    "diffusers.py": "class StableDiffusionPipeline: ...\n",  # imported by tests that are not selected
}


def main(arguments: list[str]) -> int:
    """Exit status: 0 where PEFT's checks and both test runs pass."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(arguments[0] if arguments else scratch).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        tree = unpack(folder)
        apply(tree)
        stubs = folder / "stubs"
        stubs.mkdir(exist_ok=True)
        for name, text in STUBS.items():
            (stubs / name).write_text(text, encoding="utf-8")
        (stubs / "peft_suite").symlink_to(tree / "tests")
        (tree / "tests" / "__init__.py").touch()
        source = tree / "src"
        codes = [
            quality(tree, folder / "tools"),
            pytest(tree, [source, stubs, CONFORMANCE, HERE], "-p", "plugin", "-k", "CDVFT", *OFFLINE),
            pytest(tree, [source, stubs, CONFORMANCE], "-p", "selection", str(CONFORMANCE / "suite.py")),
        ]
    print(f"UPSTREAM: {'red' if any(codes) else 'green'}")
    return max(codes)


def unpack(folder: Path) -> Path:
    """PEFT's source distribution, unpacked."""
    spec = importlib.util.spec_from_file_location("run", CONFORMANCE / "run.py")
    assert spec is not None and spec.loader is not None
    run = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(CONFORMANCE))
    spec.loader.exec_module(run)
    with tarfile.open(run.download(folder)) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"peft-{run.PEFT_VERSION}"


def apply(tree: Path, *options: str) -> None:
    """Apply all patches. The table of contents of PEFT's documentation is in no source distribution.

    Raises:
        subprocess.CalledProcessError: if PEFT's files have changed where a patch changes them.
    """
    command = ["git", "apply", "--exclude=docs/source/_toctree.yml", *options, *map(str, PATCHES)]
    # Within another repository git would look for the files from that one's root.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent)}
    subprocess.run(command, cwd=tree, env=environment, check=True)


def quality(tree: Path, tools: Path) -> int:
    """Exit status of PEFT's `make quality`, with the version of ruff that PEFT asks for."""
    text = (tree / "pyproject.toml").read_text(encoding="utf-8")
    wanted = re.search(r'^required-version = "(.+)"$', text, re.MULTILINE)
    assert wanted is not None, "PEFT's pyproject.toml names no version of ruff any more."
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(tools), f"ruff{wanted[1]}", "hf-doc-builder", "black"], check=True)
    folders = ("src", "tests", "examples")
    commands = (
        ["ruff", "check", *folders],
        ["ruff", "format", "--check", *folders],
        ["doc-builder", "style", "src/peft", "tests", "docs/source", "--max_len", "119", "--check_only"],
    )
    environment = {**os.environ, "PYTHONPATH": str(tools)}
    return max(
        subprocess.run(
            [str(tools / "bin" / command[0]), *command[1:]], cwd=tree, env=environment, check=False
        ).returncode
        for command in commands
    )


def pytest(tree: Path, path: list[Path], *arguments: str) -> int:
    """Exit status of tests with these folders on Python's path."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, path))
    options = ["-q", "-p", "no:cacheprovider", "-o", "addopts=", "-W", "ignore", "--tb=short"]
    command = [sys.executable, "-P", "-m", "pytest", *options, "--rootdir", str(tree), *arguments]
    return subprocess.run(command, cwd=tree, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
