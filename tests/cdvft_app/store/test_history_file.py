"""A history file: what is exported, and what an import accepts of a file that no one trusts."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from ended_runs import trained
from safetensors.numpy import save, save_file
from stored_runs import events_of

from cdvft_app.store import history_file, snapshots
from cdvft_app.store.history_file import ImportResult, export_history, import_history
from cdvft_app.store.owners import key_hash, token_hash, viewer_key
from cdvft_app.store.records import StoreError

WEIGHTS = "adapter/adapter_model.safetensors"
SNAPSHOT = "snapshots/step-000001.safetensors"


@pytest.fixture
def run_id(store):
    made = trained(store)
    folder = store.folder(made)
    snapshots.write(folder, 1, {"query/diagonal.0": np.ones(8)})
    save_file({"base_model.model.classifier.weight": np.zeros((2, 4), np.float32)}, folder / WEIGHTS)
    task = {"task": "text-classification", "labels": ["bad", "good"], "head": "classifier"}
    (folder / "adapter" / "task.json").write_text(json.dumps(task))
    (folder / "adapter" / "adapter_config.json").write_text('{"target_modules": ["query"]}')
    return made


@pytest.fixture
def file(store, run_id, tmp_path):
    export_history(store, tmp_path / "runs.zip")
    return tmp_path / "runs.zip"


def changed(file, **members):
    """The file, with members by their path in the run's folder: bytes, None to leave out, or a function."""
    made = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(made, "w") as new:
        for info in old.infolist():
            held = members.get(info.filename.partition("/")[2], old.read(info))
            held = held(old.read(info)) if callable(held) else held
            if held is not None:
                new.writestr(info.filename, held)
    file.write_bytes(made.getvalue())
    return file


def facts(**changes):
    return {"run.json": lambda held: json.dumps(json.loads(held) | changes).encode()}


def tensors(**arrays):
    return save(arrays)


def test_import_restores_runs_as_they_were(store, other, run_id, file):
    store.set_private(run_id, True, "secret")
    file.unlink()
    export_history(store, file)
    assert import_history(other, file) == ImportResult([run_id], 0, [])
    assert other.get(run_id) == replace(store.get(run_id), process=None, epoch=0)
    assert events_of(other, run_id) == events_of(store, run_id)
    assert (other.folder(run_id) / WEIGHTS).read_bytes() == (store.folder(run_id) / WEIGHTS).read_bytes()
    assert import_history(other, file) == ImportResult([], 1, [])
    assert not list(other.root.glob(f"{history_file.UNPACKED}*"))


def test_export_leaves_owners_and_tracebacks_out(store, run_id, tmp_path):
    store.set_visitor(run_id, "address 192.0.2.7")
    (store.folder(run_id) / "error.txt").write_text('File "/home/ada/studio/train.py", line 3')
    (store.folder(run_id) / "checkpoints").mkdir()
    (store.folder(run_id) / "checkpoints" / "state.json").write_text("large")
    export_history(store, tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
        everything = b"".join(map(archive.read, archive.namelist()))
    adapter = {"adapter/task.json", "adapter/adapter_config.json", WEIGHTS}
    assert names == {"run.json", SNAPSHOT, *adapter}
    key = viewer_key("secret")
    for secret in ("192.0.2.7", "/home/ada", key, key_hash(key), token_hash("secret")):
        assert secret.encode() not in everything


LARGE = np.zeros(snapshots.BYTES_LIMIT // 2, np.float32)
HOSTILE = {
    "no facts": {"run.json": None},
    "facts are no JSON": {"run.json": b"{"},
    "facts are nested": {"run.json": b"[" * 100_000},
    "another run's facts": facts(id="f" * 32),
    "a bad number": facts(family=2**70),
    "bad settings": facts(settings={"method": "nonsense"}),
    "a snapshot beyond 4 MiB": {SNAPSHOT: lambda held: tensors(diagonal=LARGE)},
    "a long header": {SNAPSHOT: (2**40).to_bytes(8, "little") + b"{}"},
    "no tensors": {WEIGHTS: b"weights"},
    "more labels than rows": {
        "adapter/task.json": json.dumps({"labels": [""] * 2_000_000, "head": "classifier"}).encode()
    },
    "labels without a head": {WEIGHTS: lambda held: tensors(query=np.zeros(2, np.float32))},
    "labels are no list": {"adapter/task.json": b'{"labels": 7}'},
    "a pattern": {"adapter/adapter_config.json": b'{"target_modules": "(a+)+$"}'},
    "a config that is no object": {"adapter/adapter_config.json": b"[]"},
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE)
def test_import_rejects_what_no_run_has(other, run_id, file, members):
    found = import_history(other, changed(file, **members))
    assert found.ids == [] and len(found.rejected) == 1 and found.rejected[0].startswith(run_id)
    assert [*other.folders.path.iterdir()] == [] and other.history() == []


def test_import_takes_no_owner_or_estimate(other, run_id, file):
    forged = facts(token_hash="0" * 64, visitor="bob", forecast={"seconds": 1}, epoch=7)
    assert import_history(other, changed(file, **forged)).ids == [run_id]
    run = other.get(run_id)
    assert (run.visitor, run.forecast, run.epoch) == (None, None, 0) and other.owner(run_id, "the page's")


@pytest.mark.parametrize("name", ["../history.sqlite", "/etc/cron.d/x", "link"])
def test_import_rejects_archives_that_lead_elsewhere(other, file, name):
    member = zipfile.ZipInfo(name)
    if name == "link":
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(member, "x")
    with pytest.raises(StoreError):
        import_history(other, file)
    assert [*other.folders.path.iterdir()] == []


@pytest.mark.parametrize("limit", ["MAX_FILE_BYTES", "MAX_FACTS", "MAX_MEMBERS"])
def test_import_limits_sizes(other, file, monkeypatch, limit):
    monkeypatch.setattr(history_file, limit, 2)
    with suppress(StoreError):
        assert import_history(other, file).ids == []
    assert [*other.folders.path.iterdir()] == []
