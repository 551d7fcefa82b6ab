"""Where everything is kept that a visitor made."""

from __future__ import annotations

import os
from pathlib import Path

from cdvft_app.settings.environment import environment


def runs_folder() -> Path:
    """RUNS_DIR, else a folder in the user's cache: the history, the runs, and data of one's own."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return environment().runs_dir or Path(cache, "cdvft", "runs").expanduser().resolve()


def kept_folder() -> Path | None:
    """CDVFT_KEPT: takes copies of ended runs, where a restart loses the disk of RUNS_DIR; None: no place."""
    return environment().kept


def data_folder() -> Path:
    """The rows of data of one's own, each in a folder named by the SHA-256 of the file they came in."""
    return runs_folder() / "data"
