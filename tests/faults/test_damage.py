"""Each kind of file, cut off, emptied, overwritten or gone: the doctor has the store work again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import run_events

from cdvft_app.settings import RunSettings
from cdvft_app.store import snapshots
from cdvft_app.store.doctor import examine
from cdvft_app.store.processes import machine
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.shared.state import _load_secret

RUN = RunSettings(method="cdvft")
FILES = ["history.sqlite", "history.sqlite-wal", "history.sqlite-shm", "runs/*/run.json", "runs/*/rows.jsonl",
         "runs/*/snapshots/step-000002.safetensors", "history.sqlite.lock", "browser-secret"]  # fmt: skip
DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut off": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "emptied": lambda file: file.write_bytes(b""),
    "overwritten": lambda file: file.write_bytes(b"\0junk" * (1 + file.stat().st_size // 5)),
    "gone": lambda file: file.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_mended(tmp_path: Path, name: str, damage: str) -> None:
    store = RunStore(tmp_path)
    _load_secret(tmp_path)
    (run,) = store.create([RUN], "secret", process=f"999999999:1.00@{machine()}")
    store.append(run.id, run_events.started(4))
    folder = store.folder(run.id)
    for step in range(1, 5):
        store.append(run.id, run_events.step(step))
        snapshots.write(folder, step, {"query/diagonal.0": np.ones(64)})
    (folder / "adapter").mkdir()
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    store.append(run.id, run_events.done(4, folder / "adapter", metric=0.7))
    # The write-ahead log is only there while the history is open, as after a kill.
    damaged = [*tmp_path.glob(name)]
    kept = {file: file.read_bytes() for file in tmp_path.glob("history.sqlite*")}
    store.close()
    for file, held in kept.items():
        file.write_bytes(held)
    assert damaged
    for file in damaged:
        DAMAGES[damage](file)
    assert [finding.text for finding in examine(tmp_path) if not finding.mended] == []
    again = RunStore(tmp_path)
    found = again.get(run.id)
    assert found and (found.state, found.step, found.metric) == ("finished", 4, 0.7)
    assert [row["step"] for row in again.rows(run.id, kinds=["step"])[0]] == [1, 2, 3, 4]
    assert {1, 3, 4} <= set(snapshots.steps(folder))
    (new,) = again.create([RUN], "secret")
    assert again.folder(new.id).is_dir()
    again.close()
    secret = _load_secret(tmp_path)
    assert secret and (len(secret) == 32 or name == "browser-secret")
    assert list(examine(tmp_path)) == []
