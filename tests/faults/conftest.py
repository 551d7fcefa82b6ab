"""A disk of eight megabytes, where the system lets tests have one; and where trainers and stored runs are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

APP = Path(__file__).resolve().parents[1] / "cdvft_app"
sys.path.extend(map(str, (APP, APP / "training", APP / "store")))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"needs to mount a small disk ({error}); tests/cdvft_app/store has a disk that refuses")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True, timeout=10)
