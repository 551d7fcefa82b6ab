"""What lies in folders that other threads and processes change meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG


def files_below(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every file with what the system tells of it, no links; what goes meanwhile is left out.

    Up to Python 3.12 `Path.rglob` raises FileNotFoundError for a folder that goes while it walks.
    """
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            with suppress(OSError):
                if S_ISREG((known := path.lstat()).st_mode):
                    yield path, known


def modified(path: Path) -> float:
    """When it was changed, in seconds; 0 if it went meanwhile."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
