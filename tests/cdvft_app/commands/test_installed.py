"""What pip installs: the console script `cdvft`, whose page finds scripts and records inside the package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from ports import free_port
from waiting import wait_for

import cdvft

ROOT = Path(__file__).parents[3]
FILES = ("pyproject.toml", "setup.py", "cdvft.pth", "cdvft_startup.py", "LICENSE")
BUILT_OF = ("cdvft", "cdvft_app", "assets", *FILES)

SCRIPT = "import sys; from cdvft_app.commands.script import main; sys.exit(main())"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the wheel of this checkout, without what it requires."""
    source, there = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("there")
    for name in BUILT_OF:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(there), str(source)], check=True
    )
    return there


def environment(installed: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(installed), "RUNS_DIR": str(installed / "runs")}


def script(installed: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=installed.parent,
        env=environment(installed),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_script_is_named_as_the_library_and_has_its_version(installed: Path) -> None:
    (about,) = installed.glob("*.dist-info")
    assert about.name == f"cdvft-{cdvft.__version__}.dist-info"
    assert "cdvft = cdvft_app.commands.script:main" in (about / "entry_points.txt").read_text()
    assert (installed / "cdvft" / "py.typed").is_file()


def test_the_page_of_the_installed_package_has_its_scripts_styles_and_recorded_race(installed: Path) -> None:
    port = free_port()
    running = script(installed, "app", "--port", str(port))
    page = f"http://127.0.0.1:{port}"
    try:

        def first_page() -> str:
            assert running.poll() is None, running.communicate()[1]
            with suppress(OSError):
                return urllib.request.urlopen(page, timeout=20).read().decode()
            return ""

        wait_for(first_page, seconds=60)
        text = first_page()
        files = {Path(found) for found in re.findall(r"gradio_api/file=([^\"'&\\]*/assets/[^\"'&\\]*)", text)}
        assert files and all(file.is_relative_to(installed / "cdvft_app" / "assets") for file in files)
        for file in files:
            with urllib.request.urlopen(f"{page}/gradio_api/file={file}", timeout=20) as answer:
                assert answer.status == 200 and answer.read()
        for kind, part in (("js", '"cdvft/train/history.js"'), ("css", ".lesson {")):
            (file,) = set(re.findall(rf"cdvft-[0-9a-f]+\.{kind}", text))
            assert part in urllib.request.urlopen(f"{page}/{file}", timeout=20).read().decode()
        assert "recorded-sentiment-cdvft" in text
    finally:
        running.terminate()
        running.communicate(timeout=20)


def test_where_the_apps_packages_are_missing_it_says_what_to_install(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError('No module named typer', name='typer')")
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, "train"],
        cwd=tmp_path,
        env=environment(installed) | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{installed}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == "The commands need typer, which is missing: pip install 'cdvft[app]'\n"
