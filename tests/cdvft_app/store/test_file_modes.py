"""Nobody else on the machine reads what a store keeps, whatever the umask of whoever started it."""

import os
import stat
import sys

import numpy as np
import pytest
from stored_runs import CDVFT, STARTED, done, step

from cdvft_app.store import predictions, snapshots
from cdvft_app.store.processes import this_process
from cdvft_app.store.runs import RunStore

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX modes of files")


@pytest.fixture
def without_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def test_files_are_for_the_owner_alone(without_umask, tmp_path):
    root = tmp_path / "store"
    store = RunStore(root)
    (run,) = store.create([CDVFT], "secret", process=this_process())
    for event in (STARTED, step(1), done()):
        store.append(run.id, event)
    folder = store.folder(run.id)
    snapshots.write(folder, 1, {"query/diagonal.0": np.ones(8)})
    predictions.write(folder, np.arange(2), np.arange(2), np.ones((2, 2)))
    row = {"row": 0, "prompt": "a", "expected": "b", "written": "c", "scores": {"exact_match": 0.0}}
    predictions.write_answers(folder, [predictions.WrittenRow(**row)])
    found = [root, *root.rglob("*")]
    assert {path.suffix for path in found} >= {".sqlite", ".sqlite-wal", ".json", ".jsonl", ".safetensors"}
    modes = {str(path.relative_to(root)): stat.S_IMODE(path.stat().st_mode) for path in found}
    wanted = {str(path.relative_to(root)): 0o700 if path.is_dir() else 0o600 for path in found}
    assert modes == wanted
