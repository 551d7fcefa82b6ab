"""A lost or damaged database is rebuilt from the run folders; a damaged folder costs its run alone."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from stored_runs import CDVFT, LORA, STARTED, ask, events_of, lose_database, step, trained

from cdvft_app.events import Checkpoint
from cdvft_app.store.folders import LOST
from cdvft_app.store.owners import Viewer
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import HISTORY, RunStore


@pytest.fixture
def reopened(store, tmp_path):
    """`reopened(damage)`: the store after `damage` was done to its database."""
    opened = []

    def reopen(damage=lambda file: lose_database(file.parent)):
        store.close()
        damage(tmp_path / HISTORY)
        opened.append(RunStore(tmp_path))
        return opened[-1]

    yield reopen
    for one in opened:
        one.close()


SAME = ("id", "group_id", "name", "settings", "state", "step", "metric", "result", "created", "ended",
        "total_steps", "trainable_parameters", "device", "seconds", "forecast", "family")  # fmt: skip


def test_rebuild_restores_an_ended_run(store, reopened):
    run_id = trained(store)
    store.rename(run_id, "renamed", "secret")
    before, events = store.get(run_id), events_of(store, run_id)
    again = reopened()
    after = again.get(run_id)
    assert {name: getattr(after, name) for name in SAME} == {name: getattr(before, name) for name in SAME}
    assert events_of(again, run_id) == events
    assert again.owner(run_id, "secret") and not again.owner(run_id, "another's")
    assert again.notice and reopened(lambda file: None).notice == ""


def test_rebuild_restores_the_last_checkpoint(store, reopened):
    (run,) = store.create([CDVFT], "secret", process=this_process(), forecasts=[{"steps": 7}])
    for event in (STARTED, step(1), step(2), Checkpoint(2), step(3)):
        store.append(run.id, event, run.epoch)
    again = reopened()
    after = again.get(run.id)
    assert (after.state, after.reason, after.step, after.forecast) == ("interrupted", LOST, 2, {"steps": 7})
    assert [row["step"] for row in again.rows(run.id, kinds=["step"])[0]] == [1, 2]
    assert again.leases.acquire(run.id, this_process()).epoch == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda store, run_id: store.set_private(run_id, True, "secret"),
        lambda store, run_id: store.hide(run_id, True),
    ],
)
def test_rebuild_keeps_private_runs_private(store, reopened, change):
    run_id = trained(store)
    change(store, run_id)
    again = reopened()
    assert again.seen_by(lambda: Viewer("another's")).get(run_id) is None and again.owner(run_id, "secret")


def test_visibility_changes_with_its_run_json_or_not(store, monkeypatch):
    run_id = trained(store)

    def full(*places):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StoreError, match="disk is full"):
        store.set_private(run_id, True, "secret")
    assert not store.get(run_id).private


def test_rebuild_does_not_restore_deleted_runs(store, reopened, monkeypatch):
    run_id, kept = trained(store), trained(store)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *arguments, **named: None)  # killed before it removed a file
        store.delete(run_id, "secret")
    again = reopened()
    assert [run.id for run in again.history()] == [kept]
    again.folders.sweep()
    assert [path.name for path in again.folders.path.iterdir()] == [kept]


def test_sweep_undoes_a_deletion_that_was_cut_off(store):
    run_id = trained(store)
    store.folders.discard(run_id)  # killed before the transaction was committed
    store.folders.sweep()
    assert store.get(run_id) and (store.folder(run_id) / "adapter").is_dir() and store.folders.unknown() == []


DAMAGES = {
    "no JSON": lambda file: file.write_text("{"),
    "a list": lambda file: file.write_text("[]"),
    "nested": lambda file: file.write_text("[" * 100_000),
    "gone": lambda file: file.unlink(),
    "another run's": lambda file: change_facts(file, id="f" * 32),
    "a bad number": lambda file: change_facts(file, position=2**70),
    "no settings": lambda file: change_facts(file, settings=None),
}


def change_facts(file, **changed):
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_rebuild_skips_a_damaged_folder(store, reopened, damage):
    bad, good = trained(store), trained(store)
    damage(store.folder(bad) / "run.json")
    again = reopened()
    assert [run.id for run in again.history()] == [good] and "1 folders" in again.notice
    assert (again.folders.path / bad).is_dir(), "nothing is removed"


def header(offset, value):
    def damage(file):
        content = bytearray(file.read_bytes())
        content[offset : offset + len(value)] = value
        file.write_bytes(content)

    return damage


DATABASE_DAMAGES = {
    "gone": lambda file: file.unlink(),
    "emptied": lambda file: file.write_bytes(b""),
    "overwritten": lambda file: file.write_bytes(b"not a database " * 1000),
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:-5000]),
    "random pages": lambda file: file.write_bytes(file.read_bytes()[:4096] + os.urandom(40_000)),
    "magic": header(0, b"sqlite"),
    "page size": header(16, b"\x00\x01"),
    "schema": lambda file: ask(file, "DROP TABLE rows"),
}


@pytest.mark.parametrize("damage", DATABASE_DAMAGES.values(), ids=DATABASE_DAMAGES)
def test_open_rebuilds_a_damaged_database(store, reopened, tmp_path, damage):
    run_id = trained(store)
    events = events_of(store, run_id)
    again = reopened(damage)
    assert again.state(run_id) == "finished" and events_of(again, run_id) == events and again.notice
    assert len(again.create([CDVFT], "secret")) == 1
    assert len([*tmp_path.glob("history.damaged-*.sqlite")]) == (damage is not DATABASE_DAMAGES["gone"])


COLUMNS = {"settings": '{"method": "cdv', "result": '{"adapter_folder": ', "name": b"\xff\xfe",
           "state": "finishee", "created": "x", "step": "many", "sweep": 7, "group_id": b"\xff",
           "metric": "high", "position": 2**40, "reason": b"\xff", "family": "x"}  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS)
def test_damaged_row_is_one_entry_among_others(store, tmp_path, column):
    other, run_id = trained(store, settings=LORA), trained(store)
    ask(tmp_path / HISTORY, f"UPDATE runs SET {column} = ? WHERE id = ?", COLUMNS[column], run_id)
    assert {run.id: run.damaged for run in store.history()} == {run_id: True, other: False}
    shown = store.get(run_id)
    assert shown.state == "failed" and not shown.is_resumable
    assert [run.id for run in store.group(shown.group_id)] == [run_id]
    store.delete(run_id, "secret")
    assert [run.id for run in store.history()] == [other]


def test_damaged_row_is_never_trained(store, tmp_path):
    waits, next_one = (store.create([CDVFT], "secret")[0].id for _ in range(2))
    ask(tmp_path / HISTORY, "UPDATE runs SET settings = '{' WHERE id = ?", waits)
    with pytest.raises(StoreError, match="damaged"):
        store.leases.acquire(waits, this_process())
    assert store.leases.next(this_process()).id == next_one
    assert store.state(waits) == "stopped" and store.leases.next(this_process()) is None
