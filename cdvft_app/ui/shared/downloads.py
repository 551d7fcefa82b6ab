"""Temporary files for download: Gradio copies what it serves, and originals are deleted after an hour."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from cdvft_app.results.errors import ResultsError

PREFIX = "cdvft-export-"
KEPT_SECONDS = 3600.0


def new_file(name: str) -> Path:
    """A place of its own for one file, after those of an hour ago, of any process here, have been removed.

    Raises:
        ResultsError: the disk takes nothing more.
    """
    sweep()
    try:
        return Path(tempfile.mkdtemp(prefix=PREFIX)) / name
    except OSError as error:
        raise ResultsError(f"There is no place for a file here: {error.strerror or error}.") from error


def sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # somebody else's, or gone meanwhile
            if time.time() - folder.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(folder)
