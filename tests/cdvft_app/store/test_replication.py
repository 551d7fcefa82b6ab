"""Runs that survive a lost disk: copied to a second place, and brought back from there."""

import shutil
from dataclasses import replace

import pytest
from stored_runs import events_of, trained

from cdvft_app.store import replication


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("CDVFT_KEPT", str(tmp_path / "kept"))
    return tmp_path / "kept"


def test_what_was_kept_is_brought_back_and_is_its_owners(store, other, kept):
    run_id = trained(store, token="mine")
    (store.folder(run_id) / "checkpoints").mkdir()
    (store.folder(run_id) / "adapter" / "weights").write_text("w")
    (store.root / replication.SECRET).write_text("key")
    replication.replicate(store, run_id)
    assert replication.restore_replicas(other) == [run_id]
    assert other.get(run_id) == replace(store.get(run_id), process=None, epoch=0)
    assert events_of(other, run_id) == events_of(store, run_id)
    assert other.owner(run_id, "mine") and not other.owner(run_id, "yours")
    assert (other.folder(run_id) / "adapter" / "weights").read_text() == "w"
    assert not (other.folder(run_id) / "checkpoints").exists()
    assert (other.root / replication.SECRET).read_text() == "key"
    assert replication.restore_replicas(other) == []


def test_a_deleted_run_whose_copy_could_not_be_removed_does_not_come_back(store, kept, monkeypatch):
    run_id = trained(store)
    replication.replicate(store, run_id)
    copied = kept / store.folder(run_id).name
    remove = shutil.rmtree
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda path, **how: None if path == copied else remove(path, **how))
        store.delete(run_id, "secret")
    assert copied.is_dir() and replication.restore_replicas(store) == []
    store.folders.sweep()
    assert not copied.exists() and not (store.folders.path / copied.name).exists()


def test_a_copy_that_was_cut_off_is_made_anew(store, other, kept):
    run_id = trained(store)
    replication.replicate(store, run_id)
    folder = store.folder(run_id).name
    shutil.move(kept / folder, kept / f".{folder}.unfinished")
    assert replication.restore_replicas(other) == []
    replication.replicate(store, run_id)
    (other.root / f".{folder}.unfinished").mkdir()
    assert replication.restore_replicas(other) == [run_id]
    assert not list(other.root.glob(".*"))
