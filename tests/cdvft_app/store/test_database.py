"""The database's file: other versions, other programs, read-only folders, and backups."""

from __future__ import annotations

import shutil
from contextlib import closing

import pytest
from stored_runs import CDVFT, ask, trained

from cdvft_app.store import database
from cdvft_app.store.database import VERSION
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import HISTORY, RunStore, backup


@pytest.mark.parametrize("version", [VERSION - 1, VERSION + 1])
def test_open_rejects_other_versions(tmp_path, version):
    ask(tmp_path / HISTORY, "CREATE TABLE runs (id TEXT)")
    ask(tmp_path / HISTORY, f"PRAGMA user_version = {version}")
    before = (tmp_path / HISTORY).read_bytes()
    with pytest.raises(StoreError, match=rf"\b{version}\b.*\b{VERSION}\b"):
        RunStore(tmp_path)
    assert (tmp_path / HISTORY).read_bytes() == before


@pytest.mark.parametrize("has_log", [False, True])
def test_read_only_folder_can_be_read(store, tmp_path, monkeypatch, has_log):
    run_id = trained(store)
    if not has_log:
        store.close()
    monkeypatch.setattr(database.os, "access", lambda path, mode: False)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.suffix != ".sqlite-shm"}
    with closing(RunStore(tmp_path)) as reader:
        assert [run.id for run in reader.history()] == [run_id] and len(reader.rows(run_id)[0]) == 7
        with pytest.raises(StoreError):
            reader.create([CDVFT], "secret")
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_backup_is_a_store_of_its_own(store, tmp_path):
    run_id = trained(store)
    backup(tmp_path, tmp_path.parent / "copy")
    store.remove(run_id)
    with closing(RunStore(tmp_path.parent / "copy")) as copy:
        assert copy.state(run_id) == "finished" and copy.notice == ""
        assert (copy.folder(run_id) / "adapter" / "adapter_model.safetensors").is_file()
    with pytest.raises(StoreError, match="exists"):
        backup(tmp_path, tmp_path.parent / "copy")
    with pytest.raises(StoreError, match="no database"):
        backup(tmp_path / "nothing", tmp_path / "new")
    shutil.rmtree(tmp_path.parent / "copy")
