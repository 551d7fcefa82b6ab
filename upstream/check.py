"""Put the tuner into PEFT's own tree, in a folder of its own, and run PEFT's tests on it there.

    python -m upstream.check            # in a temporary folder
    python -m upstream.check FOLDER     # in a new folder, which stays to be looked at

The tree is the source distribution of the PEFT release that `tests/conformance` pins. Twice: the rows that were
written into PEFT's tests, for what needs no model of the hub; then the rows of `tests/conformance`, whose tiny
models stand in for the hub's, with the tuner of that tree in the place of ours.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from upstream.tree import write
from upstream.tuner import ROOT

CONFORMANCE = ROOT / "tests" / "conformance"
OFFLINE = ("tests/test_custom_models.py", "tests/test_config.py")
"""Of PEFT's tests those whose rows for CDVFT need no model of the hub."""
STANDS_IN = {
    "cdvft.py": "from peft import CDVFTConfig\n",  # what tests/conformance imports
    "diffusers.py": "class StableDiffusionPipeline: ...\n",  # imported by tests that are not selected
}


def main(arguments: list[str]) -> int:
    """Exit status: 0 where both runs are green."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(arguments[0] if arguments else scratch)
        folder.mkdir(parents=True, exist_ok=True)
        tree = unpacked(folder)
        print(f"{len(write(tree))} files written into {tree}", flush=True)
        beside = folder / "beside"
        beside.mkdir(exist_ok=True)
        for name, text in STANDS_IN.items():
            (beside / name).write_text(text, encoding="utf-8")
        (beside / "peft_suite").symlink_to(tree / "tests")
        (tree / "tests" / "__init__.py").touch()
        codes = [in_its_own_tests(tree, beside), as_ours(tree, beside)]
    print(f"UPSTREAM: {'red' if any(codes) else 'green'}")
    return max(codes)


def unpacked(folder: Path) -> Path:
    """PEFT's source distribution, unpacked."""
    spec = importlib.util.spec_from_file_location("run", CONFORMANCE / "run.py")
    assert spec is not None and spec.loader is not None
    run = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(CONFORMANCE))
    spec.loader.exec_module(run)
    with tarfile.open(run.download(folder)) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"peft-{run.PEFT_VERSION}"


def in_its_own_tests(tree: Path, beside: Path) -> int:
    """The rows written into PEFT's tests."""
    places = [tree / "src", beside, CONFORMANCE, Path(__file__).parent]
    return _pytest(tree, places, "-p", "plugin", "-k", "CDVFT", *OFFLINE)


def as_ours(tree: Path, beside: Path) -> int:
    """The rows of tests/conformance, whose `import cdvft` finds the tree's tuner."""
    return _pytest(
        tree, [tree / "src", beside, CONFORMANCE], "-p", "selection", str(CONFORMANCE / "suite.py")
    )


def _pytest(tree: Path, places: list[Path], *arguments: str) -> int:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, places))
    options = ["-q", "-p", "no:cacheprovider", "-o", "addopts=", "-W", "ignore", "--tb=short"]
    command = [sys.executable, "-P", "-m", "pytest", *options, "--rootdir", str(tree), *arguments]
    return subprocess.run(command, cwd=tree, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
