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


# Of a command, what only others need; of its own part that needs models, histories or files, what its help
# does not.
@pytest.mark.parametrize(
    ("command", "unneeded"),
    [
        ("cost", {"catalog", "data", "decision", "executors", "judging", "results", "store"}),
        ("measure", {"catalog", "data", "decision", "executors", "judging", "results", "store"}),
        ("models", {"data", "executors", "judging", "results", "store", "training"}),
        ("runs", {"catalog", "data", "executors", "judging", "results", "training"}),
        ("train", {"executors", "judging", "results"}),
        ("sweep", {"results"}),
    ],
)
def test_the_help_of_a_command_imports_nothing_for_the_others(command: str, unneeded: set[str]) -> None:
    code = f"""
import sys
from contextlib import suppress
from cdvft_app.commands.main import app
with suppress(SystemExit):
    app([{command!r}, "--help"])
print("imported:", *sorted({{name.split(".")[1] for name in sys.modules if name.startswith("cdvft_app.")}}))
"""
    ended = run(code)
    shown, _, rooms = ended.stdout.rpartition("imported: ")
    assert "--help" in shown and "commands" in rooms.split(), ended.stderr
    assert not unneeded & set(rooms.split())
