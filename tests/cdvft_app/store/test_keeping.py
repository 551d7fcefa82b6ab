"""Runs that survive a lost disk: kept in a second place, or carried over as one file."""

from __future__ import annotations

import errno
import json
import shutil
import zipfile

import pytest
from test_repair import trained

from cdvft_app.store import keeping
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("CDVFT_KEPT", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def store(tmp_path):
    made = RunStore(tmp_path / "runs")
    yield made
    made.close()


@pytest.fixture
def other(tmp_path):
    made = RunStore(tmp_path / "other")
    yield made
    made.close()


def told(store, run_id):
    run = store.get(run_id)
    rows = [(row["kind"], row["step"]) for row in store.rows(run_id)[0]]
    return run.state, run.name, run.settings, run.metric, run.result, rows


def test_what_was_kept_is_brought_back_and_is_its_owners(store, other, kept):
    run_id = trained(store, token="mine")
    (store.folder(run_id) / "checkpoints").mkdir()
    (store.folder(run_id) / "adapter" / "weights").write_text("w")
    (store.root / keeping.SECRET).write_text("key")
    keeping.keep(store, run_id)
    assert keeping.bring_back(other) == [run_id]
    assert told(other, run_id) == told(store, run_id)
    assert other.owner(run_id, "mine") and not other.owner(run_id, "yours")
    assert (other.folder(run_id) / "adapter" / "weights").read_text() == "w"
    assert not (other.folder(run_id) / "checkpoints").exists()
    assert (other.root / keeping.SECRET).read_text() == "key"
    assert keeping.bring_back(other) == []


def test_a_key_that_is_here_is_not_replaced(store, other, kept):
    (store.root / keeping.SECRET).write_text("old")
    keeping.keep(store, trained(store))
    (other.root / keeping.SECRET).write_text("new")
    keeping.bring_back(other)
    assert (other.root / keeping.SECRET).read_text() == "new"


def test_runs_that_learned_nothing_are_not_kept_and_deleted_ones_no_longer(store, other, kept):
    keeping.keep(store, trained(store, state="running"))
    assert not kept.exists()
    run_id = trained(store)
    keeping.keep(store, run_id)
    assert [path.name for path in kept.iterdir() if path.is_dir()] == [store.folder(run_id).name]
    store.delete(run_id, "secret")
    assert keeping.bring_back(other) == []


def test_without_a_place_nothing_is_kept(store, monkeypatch, tmp_path):
    monkeypatch.delenv("CDVFT_KEPT", raising=False)
    keeping.keep(store, trained(store))
    assert keeping.bring_back(store) == [] and sorted(path.name for path in tmp_path.iterdir()) == ["runs"]


def test_a_place_that_refuses_is_a_sentence(store, kept):
    kept.write_text("a file")
    with pytest.raises(StoreError):
        keeping.keep(store, trained(store))


def test_the_history_travels_as_one_file(store, other, tmp_path):
    ids = {trained(store, token="mine"), trained(store, state="stopped")}
    trained(store, state="running")
    file = tmp_path / "runs.zip"
    assert keeping.export_history(store, file) == (2, 0)
    with pytest.raises(StoreError, match="already there"):
        keeping.export_history(store, file)
    assert set(keeping.import_history(other, file)) == ids
    for run_id in ids:
        assert told(other, run_id) == told(store, run_id)
    assert keeping.import_history(other, file) == []  # they are here
    assert not list(other.root.glob(".import-*"))


def test_a_place_where_no_file_can_be_is_named_and_not_the_history(store, tmp_path, monkeypatch):
    trained(store)
    file = tmp_path / "none" / "runs.zip"
    with pytest.raises(StoreError) as refused:
        keeping.export_history(store, file)
    assert str(refused.value) == (
        f"{file} cannot be written (No such file or directory). "
        "Choose a folder that is there and can be written."
    )

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keeping.os, "replace", full)
    with pytest.raises(StoreError, match="The disk is full: free some space, or choose another place"):
        keeping.export_history(store, tmp_path / "runs.zip")


@pytest.mark.parametrize("name", ["../history.sqlite", "/etc/cron.d/x", "short/run.json", "run.json"])
def test_a_file_that_leads_elsewhere_is_refused_whole(other, tmp_path, name):
    file = tmp_path / "bad.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "{}")
    with pytest.raises(StoreError, match="of no run; nothing was taken"):
        keeping.import_history(other, file)


def test_a_run_that_could_not_be_read_back_is_left_out(store, other, tmp_path):
    run_id, good = trained(store), trained(store)
    facts = store.folder(run_id) / "run.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"settings": '{"method": "nonsense"}'}))
    keeping.export_history(store, tmp_path / "runs.zip")
    assert keeping.import_history(other, tmp_path / "runs.zip") == [good]
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(StoreError, match="not a zip"):
        keeping.import_history(other, tmp_path / "text.zip")


def test_a_copy_that_was_cut_off_is_made_anew(store, other, kept):
    run_id = trained(store)
    keeping.keep(store, run_id)
    folder = store.folder(run_id).name
    shutil.move(kept / folder, kept / f".{folder}.unfinished")
    assert keeping.bring_back(other) == []
    keeping.keep(store, run_id)
    (other.root / f".{folder}.unfinished").mkdir()
    assert keeping.bring_back(other) == [run_id]
    assert not list(other.root.glob(".*"))
