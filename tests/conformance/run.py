"""Run PEFT's own test suite against CDVFT.

The suite is not part of this repository: the sdist of the pinned PEFT version is fetched once through pip,
checked by its hash and kept in a cache (CDVFT_CACHE, else ~/.cache/cdvft). After the suite, deliberate faults
are put into CDVFT one at a time, and each must turn it red.

    python tests/conformance/run.py                  # the suite, then the faults
    python tests/conformance/run.py --fault merge    # one fault, in full, to see what catches it
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from faults import FAULTS

PEFT_VERSION = "0.21.2"
SDIST_SHA256 = "b803ccfb3f3f316004d850284306687833a2235ea278fb56abc856203456142e"
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fault", choices=sorted(FAULTS), help="put this fault in and run the whole suite")
    parser.add_argument("pytest_arguments", nargs="*", help="passed on to pytest, after --")
    arguments = parser.parse_args()
    installed = importlib.metadata.version("peft")
    if installed != PEFT_VERSION:
        print(f"peft {installed} is installed, but this suite belongs to {PEFT_VERSION}. Run: make install")
        return 2
    try:
        suite = fetch(cache_folder() / f"peft-{PEFT_VERSION}-tests")
    except subprocess.CalledProcessError as error:
        print(
            f"pip could not fetch peft {PEFT_VERSION} with the pinned hash, status {error.returncode}. "
            "See its words above: a package index must be in reach once, after which the cache serves."
        )
        return 2
    if arguments.fault or arguments.pytest_arguments:
        return run(suite, arguments.fault, *arguments.pytest_arguments)
    if code := run(suite):
        print("CONFORMANCE: red")
        return code
    unnoticed = [name for name in FAULTS if not caught(suite, name)]
    if unnoticed:
        print(f"CONFORMANCE: green, but it does not notice these faults: {', '.join(unnoticed)}")
        return 1
    print(f"CONFORMANCE: green, and red under each of {len(FAULTS)} faults")
    return 0


def cache_folder() -> Path:
    return Path(os.environ.get("CDVFT_CACHE") or Path.home() / ".cache" / "cdvft")


def fetch(folder: Path) -> Path:
    """The folder that holds PEFT's tests as the package `peft_suite`, downloaded on first use."""
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        archive = download(Path(scratch))
        package = Path(scratch, "suite", "peft_suite")
        package.mkdir(parents=True)
        package.joinpath("__init__.py").touch()
        with tarfile.open(archive) as sdist:
            for member in sdist.getmembers():
                path = Path(member.name)
                is_test = path.parent.name == "tests" and path.suffix == ".py"
                if is_test and (source := sdist.extractfile(member)):
                    package.joinpath(path.name).write_bytes(source.read())
        package.parent.rename(folder)  # whole or not at all
    return folder


def download(folder: Path) -> Path:
    """The source distribution of the pinned PEFT, checked by its hash."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"peft=={PEFT_VERSION} --hash=sha256:{SDIST_SHA256}\n")
    options = ["--quiet", "--require-hashes", "--no-deps", "--no-binary", "peft", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", "download", *options]
    subprocess.run([*command, "--dest", str(folder), "-r", str(requirement)], check=True)
    return folder / f"peft-{PEFT_VERSION}.tar.gz"


def run(suite: Path, fault: str | None = None, *options: str, **settings) -> int:
    """Exit status of pytest over the suite, with CDVFT as it is or with a fault in it."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment.pop("CI", None)  # PEFT's own skips are on no list of ours
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(HERE), str(suite)])
    environment["CDVFT_FAULT"] = fault or ""
    plugins = ["-p", "selection", "-p", "no:randomly", "-p", "no:cacheprovider"]
    usual = ["-q", "-o", "addopts=", "-W", "ignore", "--tb=short"]
    command = [sys.executable, "-m", "pytest", *plugins, *usual, *options, str(HERE / "suite.py")]
    return subprocess.run(command, env=environment, cwd=suite, check=False, **settings).returncode


def caught(suite: Path, fault: str) -> bool:
    """Whether tests fail (status 1, and not an error of collection) under a fault; stops at the first."""
    print(f"fault {fault!r}: {FAULTS[fault].__doc__} ...", end=" ", flush=True)
    code = run(
        suite, fault, "--exitfirst", "-k", "TestPeftCustomModel or TestMultipleActive", capture_output=True
    )
    print("caught" if code == 1 else f"NOT caught (pytest status {code})")
    return code == 1


if __name__ == "__main__":
    sys.exit(main())
