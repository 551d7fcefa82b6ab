"""What is kept of a failed test of the page, in one folder."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from visitors import Visitors

LARGE = 5_000_000  # bytes: no weights are kept
SQLITE = ".sqlite"


def keep(folder: Path, report: pytest.TestReport | None, visitors: Visitors, server: object) -> None:
    """What its pages show and said, how it failed, what its server said, and the folder of runs.

    `report` is None where the test itself passed, but a page did what none may do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    visitors.keep(folder)
    (folder / "failure.txt").write_text(report.longreprtext if report else "\n".join(visitors.troubles))
    said = [f"{title}\n{text}" for title, text in report.sections] if report else []
    log = getattr(server, "log", None)  # of a process of its own; others speak in the test's
    said += [log.read_text()] if log and log.is_file() else []
    (folder / "server.log").write_text("\n".join(said))
    if (runs := getattr(server, "runs", None)) and runs.is_dir():
        shutil.copytree(runs, folder / "runs", dirs_exist_ok=True, ignore=_left_out)
        for history in runs.rglob(f"*{SQLITE}"):
            copied = sqlite3.connect(folder / "runs" / history.relative_to(runs))
            with closing(sqlite3.connect(history)) as original, closing(copied):
                original.backup(copied)


def _left_out(folder: str, names: list[str]) -> list[str]:
    """Large files, and SQLite's: whoever closes one of those otherwise takes this process's locks from it."""
    files = [path for name in names if (path := Path(folder, name)).is_file()]
    return [path.name for path in files if SQLITE in path.name or path.stat().st_size > LARGE]
