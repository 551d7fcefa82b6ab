"""The studio as its wheels hold it: its page finds scripts and records inside the package."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
import zipfile
from contextlib import suppress
from pathlib import Path

import psutil
import wheels
from ports import free_port
from waiting import wait_for

SCRIPT = """
import gc, sys
gc.disable()  # a quarter of what the imports take
from cdvft_app.__main__ import main
sys.exit(main())
"""


def test_the_page_of_the_installed_package_has_its_scripts_styles_and_recorded_race(tmp_path: Path) -> None:
    installed = tmp_path / "there"
    for wheel in (wheels.library(), wheels.studio()):
        zipfile.ZipFile(wheel).extractall(installed)
    port = free_port()
    page = f"http://127.0.0.1:{port}"
    running = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "app", "--port", str(port)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed), "RUNS_DIR": str(tmp_path / "runs")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
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
        with suppress(psutil.NoSuchProcess):  # those that it begins early, to train in
            for child in psutil.Process(running.pid).children(recursive=True):
                child.kill()
        running.kill()
        running.communicate(timeout=20)
