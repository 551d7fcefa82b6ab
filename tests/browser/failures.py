"""What is kept of a failed test of the page, in one folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from visitors import Visitors

LARGE = 5_000_000  # bytes: no weights are kept


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
        shutil.copytree(runs, folder / "runs", dirs_exist_ok=True, ignore=_large)


def _large(folder: str, names: list[str]) -> list[str]:
    return [one for one in names if (path := Path(folder, one)).is_file() and path.stat().st_size > LARGE]
