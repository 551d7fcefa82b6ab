"""The library's tests with another Python, or with the newest PEFT and transformers that there are.

    python tests/other_versions.py 3.12 3.13      # with the locked packages
    python tests/other_versions.py 3.13 --newest       # with the newest two in place of the locked ones
    python tests/other_versions.py 3.13 -- -k merge    # what follows goes to pytest

Each has an environment of its own, which uv makes and keeps outside the checkout, in CDVFT_CACHE, else
~/.cache/cdvft. uv's own variables hold: UV_TORCH_BACKEND=cpu takes torch without CUDA's libraries.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEWEST = ("peft", "transformers")
VERSIONS = """
import platform
from importlib.metadata import version
names = "torch", "peft", "transformers"
print("Python", platform.python_version(), *(f"{name} {version(name)}" for name in names), flush=True)
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pythons", nargs="+", metavar="VERSION", help="of Python, such as 3.12")
    parser.add_argument("--newest", action="store_true", help=f"upgrade {' and '.join(NEWEST)}")
    given = sys.argv[1:]
    place = given.index("--") if "--" in given else len(given)
    arguments = parser.parse_args(given[:place])
    codes = {}
    for version in arguments.pythons:
        python = environment(version, arguments.newest)
        codes[version] = tests(python, given[place + 1 :])
    for version, code in codes.items():
        print(f"OTHER VERSIONS: Python {version}: {'red' if code else 'green'}")
    return max(codes.values())


def environment(version: str, newest: bool) -> Path:
    """The interpreter of an environment with what the tests need."""
    cache = Path(os.environ.get("CDVFT_CACHE") or Path.home() / ".cache" / "cdvft")
    folder = cache / "environments" / (f"{version}-newest" if newest else version)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    uv("venv", "--quiet", "--allow-existing", "--seed", "--python", version, str(folder))
    install = ("pip", "install", "--quiet", "--python", str(python))
    uv(*install, "--no-deps", "--require-hashes", "-r", str(ROOT / "requirements-dev.lock"))
    uv(*install, "-r", str(ROOT / "requirements-torch.txt"))
    if newest:
        uv(*install, *(word for name in NEWEST for word in ("--upgrade-package", name)), *NEWEST)
    return python


def uv(*arguments: str) -> None:
    """Run uv where it does not find pyproject.toml, which tells it how to lock for every Python."""
    subprocess.run([sys.executable, "-m", "uv", *arguments], cwd=Path.home(), check=True)


def tests(python: Path, arguments: list[str]) -> int:
    """Exit status of the library's tests."""
    subprocess.run([python, "-c", VERSIONS], cwd=ROOT, check=True)
    command = [python, "-m", "pytest", "tests/cdvft", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
