"""The page is up, and the command line answers, before the heavy libraries are there, and without Ray."""

import subprocess
import sys
from pathlib import Path

import pytest
from sources import ROOT

HEAVY = {"torch", "transformers", "peft", "timm", "datasets", "accelerate"}
HEAVY |= {"plotly", "scipy.stats", "sklearn", "ray"}
PAGE = """
import gc, sys
gc.disable()  # as app.py does
from cdvft_app.ui import serving as app
from cdvft_app.store.runs import RunStore
store = RunStore(sys.argv[1])
app.build(app.AppState.make(store, app.RunQueue(store)))
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.parametrize("program", ["import cdvft_app.commands.main", PAGE])
def test_nothing_heavy_is_imported(program: str, tmp_path: Path) -> None:
    code = f"{program}\nimport sys; print(*sorted({HEAVY!r} & set(sys.modules)))"
    ended = run(code, str(tmp_path))
    assert (ended.stdout.strip(), ended.stderr.strip()[-300:]) == ("", "")
