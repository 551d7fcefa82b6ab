"""The page is up, and the command line answers, before the heavy libraries are there."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {
    "torch",
    "transformers",
    "peft",
    "timm",
    "datasets",
    "accelerate",
    "plotly",
    "scipy.stats",
    "sklearn",
}
PAGE = """
import sys
from cdvft_app.ui import serving as app
from cdvft_app.store.runs import RunStore
store = RunStore(sys.argv[1])
app.build(app.AppState.make(store, app.RunQueue(store)))
"""


@pytest.mark.parametrize(
    "program",
    [
        "import cdvft_app.catalog",
        "import cdvft_app.methods",
        "import cdvft_app.store.runs, cdvft_app.store.snapshots",
        "import cdvft_app.training.queue",
        "import cdvft_app.commands.main",
        PAGE,
    ],
)
def test_nothing_heavy_is_imported(program: str, tmp_path: Path) -> None:
    code = f"{program}\nimport sys; print(*sorted({HEAVY!r} & set(sys.modules)))"
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert (ended.stdout.strip(), ended.stderr.strip()[-300:]) == ("", "")
