"""The studio as its wheels hold it: its page finds scripts and records inside the package."""

from __future__ import annotations

import re
import urllib.request
import zipfile
from pathlib import Path

import pytest
import wheels
from started_program import StartedProgram

SCRIPT = """
import gc, sys
gc.disable()  # a quarter of what the imports take
from cdvft_app.__main__ import main
sys.exit(main())
"""


@pytest.mark.nightly
def test_installed_app_serves_its_assets(tmp_path: Path) -> None:
    installed = tmp_path / "there"
    for wheel in (wheels.library(), wheels.studio()):
        zipfile.ZipFile(wheel).extractall(installed)
    program = StartedProgram(tmp_path / "runs", PYTHONPATH=str(installed))
    del program.environment["GRADIO_SERVER_PORT"]  # the command is told it
    program.folder = tmp_path
    program.command = ("-c", SCRIPT, "app", "--port", str(program.port))
    try:
        program.start()
        text = urllib.request.urlopen(program.url, timeout=20).read().decode()
        files = {Path(found) for found in re.findall(r"gradio_api/file=([^\"'&\\]*/assets/[^\"'&\\]*)", text)}
        assert files and all(file.is_relative_to(installed / "cdvft_app" / "assets") for file in files)
        for file in files:
            with urllib.request.urlopen(f"{program.url}gradio_api/file={file}", timeout=20) as answer:
                assert answer.status == 200 and answer.read()
        for kind, part in (("js", '"cdvft/train/history.js"'), ("css", ".lesson {")):
            (file,) = set(re.findall(rf"cdvft-[0-9a-f]+\.{kind}", text))
            assert part in urllib.request.urlopen(f"{program.url}{file}", timeout=20).read().decode()
        assert "recorded-sentiment-cdvft" in text
    finally:
        program.kill_all()
