"""Eleven faults, one after the other in a copy of the project: does `make quick` find each?

They are of many kinds: arithmetic, a rule of the store, an owner's right, a limit, a word, a lesson, a
script, a style.
`python tests/quick_faults.py NAME` tries one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from quick import KEPT, SECONDS, git
from sources import ROOT
from waiting import pace


@dataclass(frozen=True)
class Fault:
    file: str
    sound: str
    broken: str


FAULTS = {
    "flops": Fault("cdvft/cost/flops.py", "return 2.5 * n", "return 2.0 * n"),
    "circulant": Fault("cdvft/circulant.py", "unfold(-1, n, 1).flip(-2)", "unfold(-1, n, 1)"),
    "limit": Fault("cdvft_app/methods/cdvft.py", "ge=2, le=16", "ge=1, le=16"),
    "resume": Fault(
        "cdvft_app/store/records.py", "in states.RESUMABLE and not self.is_job", "in states.RESUMABLE"
    ),
    "owner": Fault(
        "cdvft_app/training/queue.py",
        "self._store.require_owner(run_id, token)\n        self._store.ask_to_stop",
        "self._store.ask_to_stop",
    ),
    "budget": Fault("cdvft_app/public/budget.py", "since(visitor, now - span)", "since(visitor, now)"),
    "words": Fault("cdvft_app/judging/verdict_text.py", "is behind {second}", "is ahead of {second}"),
    "lesson": Fault("cdvft_app/ui/learn/lesson_texts/circulant.py", "768 numbers", "786 numbers"),
    "script": Fault(
        "assets/js/shared/format.js", 'split("e");\n    return minus(', 'split("e");\n    return ('
    ),
    "page": Fault(
        "assets/js/train/history.js",
        "group: race.group, name, token",
        "group: race.group, name: race.name, token",
    ),
    "style": Fault(
        "assets/css/train/layout.css",
        ".train { grid-template-columns: minmax(0, 1fr)",
        ".train { grid-template-columns: minmax(600px, 1fr)",
    ),
}


WHERE_FAULTS_STAND = "tests/test_quick.py::test_what_a_fault_breaks_stands_where_it_says"


def commit_all(room: Path) -> None:
    """The first commit of a new repository."""
    git("init", "--quiet", "--initial-branch=main", root=room)
    git("add", ".", root=room)
    author = ("-c", "user.name=faults", "-c", "user.email=faults@localhost", "-c", "commit.gpgsign=false")
    git(*author, "commit", "--quiet", "-m", "sound", root=room)


def copy(room: Path) -> None:
    """The files that git would keep, as a repository of one commit; what is installed is linked."""
    names = git("ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    for name in names:
        if (ROOT / name).is_file() and not (ROOT / name).is_symlink():
            (room / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, room / name)
    (room / ".git" / "info").mkdir(parents=True)
    (room / ".git" / "info" / "exclude").write_text("node_modules\n")
    commit_all(room)
    (room / "node_modules").symlink_to(ROOT / "node_modules")
    kept = Path(".pytest_cache", "v", KEPT)
    if (ROOT / kept).is_file():
        (room / kept).parent.mkdir(parents=True)
        shutil.copy(ROOT / kept, room / kept)


def noticed(room: Path, fault: Fault) -> tuple[str, float]:
    """The first test that fails of those that `make quick` runs, or "", and the seconds until then."""
    path = room / fault.file
    text = path.read_text()
    path.write_text(text.replace(fault.sound, fault.broken))
    begun = time.monotonic()
    minute = str(SECONDS * pace())  # of an idle machine
    command = [sys.executable, "tests/quick.py", "HEAD", minute]
    # That a fault's own text stands in its file is no find.
    first = os.environ | {"PYTEST_ADDOPTS": f"-x --deselect {WHERE_FAULTS_STAND}"}
    ended = subprocess.run(command, cwd=room, env=first, capture_output=True, text=True, check=False)
    path.write_text(text)
    failed = [line for line in ended.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0] if failed else "", time.monotonic() - begun


def main(*names: str) -> int:
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy(Path(folder))
        for name in names or FAULTS:
            found, seconds = noticed(Path(folder), FAULTS[name])
            missed += not found
            print(f"{name:10} {seconds:5.0f} s  {found or 'NOT FOUND'}", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
