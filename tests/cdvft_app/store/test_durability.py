"""Full disks, and folders that cannot be: what was kept is there, and the trouble is a sentence."""

import os
import shutil
import sqlite3

import pytest
from stored_runs import CDVFT, STARTED, done, full_disk, step

from cdvft_app.events import Checkpoint, Note
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import StoreError


def limited(statement):
    """Every new connection begins with `statement`, by which SQLite itself makes the trouble."""
    connect = sqlite3.connect

    def opened(*arguments, **named):
        connection = connect(*arguments, **named)
        connection.execute(statement)
        return connection

    return opened


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [("PRAGMA max_page_count = 1", "The disk is full"), ("PRAGMA query_only = 1", "can be written")],
)
def test_a_disk_that_refuses_is_a_sentence(store, run_id, monkeypatch, statement, sentence):
    store.close()
    monkeypatch.setattr(sqlite3, "connect", limited(statement))
    with pytest.raises(StoreError, match=sentence):
        for _ in range(1000):
            store.append(run_id, Note("x" * 1000))
    monkeypatch.undo()  # the connection that refused, which would for ever, is not used again
    store.append(run_id, step(1))
    assert store.rows(run_id)[0][-1]["step"] == 1


def test_checkpoint_on_a_full_disk_keeps_the_events(store, run_id, monkeypatch):
    store.leases.acquire(run_id, this_process())
    monkeypatch.setattr(os, "replace", full_disk)
    for event in (STARTED, step(1), Checkpoint(1), done(step=1)):
        store.append(run_id, event)
    assert store.state(run_id) == "finished" and len(store.rows(run_id)[0]) == 3


def test_what_a_visitor_is_told_of_the_disk_names_no_place(store, tmp_path):
    store.close()
    shutil.rmtree(tmp_path)
    with pytest.raises(StoreError) as refused:
        store.create([CDVFT], "secret")
    assert str(tmp_path.parent) not in str(refused.value) and "RUNS_DIR" in str(refused.value)
