"""A store mends itself: lost histories, orphans, deletions that were cut off, damaged files, old formats."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from stored_runs import LORA, STARTED, done, lose_history, step, told, trained

from cdvft_app.store import snapshots
from cdvft_app.store.doctor import backup, examine, restore
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore


def found(root: Path) -> list[str]:
    return [finding.text for finding in examine(root)]


def test_a_sound_store_has_nothing_to_mend(store, tmp_path):
    trained(store)
    store.create([LORA], "secret")
    assert found(tmp_path) == []


def test_a_lost_history_comes_back_out_of_the_folders(store, tmp_path):
    whole, cut_off = trained(store), trained(store, "running")
    (waiting,) = (run.id for run in store.create([LORA], "else", forecasts=[{"steps": 7}]))
    store.rename(whole, "renamed", "secret")
    before, rows = store.get(whole), told(store, whole)
    store.close()
    lose_history(tmp_path)
    assert "3 runs taken into the history" in " ".join(found(tmp_path))
    again = RunStore(tmp_path)
    after = again.get(whole)
    same = ("id", "group_id", "name", "settings", "state", "step", "metric", "result", "created", "ended",
            "total_steps", "trainable_parameters", "device", "seconds")  # fmt: skip
    assert {name: getattr(after, name) for name in same} == {name: getattr(before, name) for name in same}
    assert told(again, whole) == rows
    assert again.owner(whole, "secret") and not again.owner(whole, "else")
    assert [run.id for run in again.history()] == [waiting, cut_off, whole]
    lost = again.get(cut_off)
    assert (lost.state, lost.step, lost.metric) == ("interrupted", 4, 0.77) and "Resume" in lost.reason
    assert [row["loss"] for row in again.rows(cut_off, kinds=["step"])[0]] == [0.5] * 4
    assert again.get(waiting).forecast == {"steps": 7}
    assert again.leases.acquire(cut_off, this_process()).epoch == 1
    assert found(tmp_path) == []


def test_a_resumed_run_comes_back_with_its_last_end_alone(store, tmp_path):
    run_id = trained(store, "stopped")
    store.leases.acquire(run_id, this_process())
    for event in (STARTED, step(5), done(step=5, folder=store.folder(run_id) / "adapter")):
        store.append(run_id, event)
    kept = told(store, run_id)
    store.close()
    lose_history(tmp_path)
    found(tmp_path)
    again = RunStore(tmp_path)
    assert told(again, run_id) == kept and again.get(run_id).state == "finished"


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "run.json").write_text("{"),
        lambda folder: (folder / "rows.jsonl").write_text('{"kind": "step", "st'),
        lambda folder: (folder / "rows.jsonl").unlink(),
        lambda folder: [file.unlink() for file in folder.glob("r*.json*")],
    ],
)
def test_what_a_folder_lacks_is_written_anew(store, tmp_path, damage):
    run_id = trained(store)
    damage(store.folder(run_id))
    store.close()
    assert "told less than the history" in " ".join(found(tmp_path))
    assert found(tmp_path) == []
    lose_history(tmp_path)
    found(tmp_path)
    assert len(RunStore(tmp_path).rows(run_id)[0]) == 7


def test_a_damaged_history_is_kept_aside_and_made_anew(store, tmp_path):
    run_id = trained(store)
    store.close()
    file = tmp_path / "history.sqlite"
    held = file.read_bytes()
    file.write_bytes(held[:4096] + os.urandom(len(held) - 4096))
    texts = found(tmp_path)
    assert "was damaged" in texts[0] and "1 run" in texts[1]
    assert RunStore(tmp_path).get(run_id).state == "finished"
    assert len(list(tmp_path.glob("history.damaged-*.sqlite"))) == 1


def test_a_deletion_that_was_cut_off_leaves_nothing(store, tmp_path, monkeypatch):
    run_id = trained(store)
    folder = store.folder(run_id)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *arguments, **named: None)  # killed before it removed a file
        store.delete(run_id, "secret")
    assert folder.is_dir() and store.history() == []
    again = RunStore(tmp_path)
    assert again.folders.adopt() == [], "what is deleted must not come back"
    again.folders.sweep()
    assert not folder.exists() and again.folders.orphans() == []


def test_what_is_missing_or_nobodys_is_told(store, tmp_path):
    gone, bare, emptied = trained(store), trained(store), trained(store)
    shutil.rmtree(store.folder(gone))
    shutil.rmtree(store.folder(bare) / "adapter")
    (store.folder(emptied) / "adapter" / "adapter_model.safetensors").unlink()
    (tmp_path / "runs" / "000007").mkdir()
    (tmp_path / "runs" / "somebodys").mkdir()
    (tmp_path / "runs" / "somebodys" / "file").write_text("kept")
    findings = list(examine(tmp_path))

    def mended(*words: str) -> list[bool]:
        return [one.mended for one in findings if all(word in one.text for word in words)]

    assert mended(gone, "lost") == mended(bare, "weights") == mended(emptied, "weights") == [False]
    assert mended("000007 was empty") == [True] and mended("somebodys belongs to no run") == [False]
    assert not (tmp_path / "runs" / "000007").exists() and (tmp_path / "runs" / "somebodys" / "file").exists()


def test_one_truncated_snapshot_costs_its_step_alone(store, tmp_path):
    folder = store.folder(trained(store))
    for number in (0, 2, 4):
        snapshots.write(folder, number, {"query/diagonal.0": np.arange(64.0)})
    file = folder / "snapshots" / "step-000002.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    assert snapshots.steps(folder) == [0, 4]
    assert "step 2 could not be read" in " ".join(found(tmp_path)) and not file.exists()


def test_a_copy_can_be_made_while_others_write_and_put_back(store, tmp_path):
    first = trained(store)
    copy = tmp_path / "copy.sqlite"
    backup(tmp_path, copy)
    with pytest.raises(StoreError, match="exists already"):
        backup(tmp_path, copy)
    second = trained(store)
    with pytest.raises(StoreError, match=r"has the history .* open"):
        restore(tmp_path, copy)
    store.close()
    aside = restore(tmp_path, copy)
    assert aside and aside.is_file()
    assert [run.id for run in RunStore(tmp_path).history()] == [first]
    assert "1 run" in found(tmp_path)[0]
    assert [run.id for run in RunStore(tmp_path).history()] == [second, first]


def test_the_log_of_a_lost_history_is_not_written_into_its_backup(store, tmp_path):
    first = trained(store)
    backup(tmp_path, tmp_path / "copy.sqlite")
    trained(store)
    log = (tmp_path / "history.sqlite-wal").read_bytes()
    store.close()
    lose_history(tmp_path)
    (tmp_path / "history.sqlite-wal").write_bytes(log)  # as a killed server leaves it
    assert restore(tmp_path, tmp_path / "copy.sqlite") is None
    assert [run.id for run in RunStore(tmp_path).history()] == [first]
    (aside,) = tmp_path.glob("history.replaced-*.sqlite-wal")
    assert aside.read_bytes() == log


def test_where_there_is_no_history_none_is_copied(tmp_path):
    with pytest.raises(StoreError, match="has no history"):
        backup(tmp_path, tmp_path / "copy.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_copy_is_refused(store, tmp_path):
    (tmp_path / "text").write_text("not a database at all")
    for wrong in ("text", "missing"):
        with pytest.raises(StoreError, match="is no backup"):
            restore(tmp_path, tmp_path / wrong)
    assert store.history() == []
