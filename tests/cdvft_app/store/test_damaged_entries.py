"""What cannot be read costs itself: a folder is put away, a row is one damaged entry."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import bombs
import pytest
from stored_runs import CDVFT, LORA, ask, trained

from cdvft_app.store.doctor import examine
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import IllegalTransition
from cdvft_app.store.runs import RunStore
from cdvft_app.training.queue import RunQueue
from cdvft_app.ui.train.history import races, remove


def change(root: Path, query: str, *values: object) -> None:
    assert ask(root / "history.sqlite", f"{query} RETURNING 1", *values)


def unmended(root: Path) -> list[str]:
    return [finding.text for finding in examine(root) if not finding.mended]


def stray(store: RunStore, **facts: object) -> Path:
    """A folder beside the others, as a bad file left it."""
    folder = store.folders.path / f"{len(list(store.folders.path.iterdir())):032d}"
    folder.mkdir()
    (folder / "run.json").write_text(bombs.facts(id=folder.name, **facts))
    return folder


@pytest.mark.parametrize(
    "facts",
    [{"family": 2**70}, {"settings": 7}, {"position": None}, {"state": "paused"}, {"result": "{"}],
)
def test_a_folder_that_cannot_be_taken_is_put_away_and_hinders_nobody(store, tmp_path, caplog, facts):
    bad, good = stray(store, **facts), stray(store)
    with caplog.at_level(logging.WARNING):
        assert store.folders.adopt() == [good.name]
    assert [record for record in caplog.records if bad.name in record.getMessage()]
    assert not bad.exists() and (tmp_path / "quarantine" / bad.name / "run.json").is_file()
    caplog.clear()
    assert store.folders.adopt() == [] and not caplog.records, "it is said once"
    (told,) = [text for text in unmended(tmp_path) if bad.name in text]
    assert "quarantine" in told


def test_a_row_beyond_all_bounds_costs_itself_alone(store):
    folder = stray(store)
    rows = bombs.started(total_steps=2**70) + bombs.row("step", 2**70)
    note = json.dumps({"kind": "note", "step": None, "data": "[" * 10**5})
    (folder / "rows.jsonl").write_bytes(b"\xff\n" + (rows + note).encode())
    assert store.folders.adopt() == [folder.name]
    assert store.get(folder.name).total_steps is None and store.rows(folder.name)[0] == []


def test_a_second_copy_of_a_run_is_put_away(store, tmp_path):
    run_id = trained(store)
    shutil.copytree(store.folder(run_id), store.folders.path / ("c" * 32))
    assert store.folders.adopt() == [] and (tmp_path / "quarantine" / ("c" * 32)).is_dir()
    assert store.get(run_id).state == "finished"


COLUMNS = {"settings": '{"method": "cdv', "result": '{"adapter_folder": ', "name": b"\xff\xfe",
           "state": "finishee", "created": "x", "step": "many", "sweep": 7, "group_id": b"\xff",
           "metric": "high", "position": 2**40, "reason": b"\xff", "family": "x"}  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS)
def test_a_damaged_row_is_one_entry_among_the_others_and_comes_back(store, tmp_path, column):
    other, run_id = trained(store, settings=LORA), trained(store)
    before = store.get(run_id)
    change(tmp_path, f"UPDATE runs SET {column} = ? WHERE id = ?", COLUMNS[column], run_id)
    assert {run.id: run.damaged for run in store.history()} == {run_id: True, other: False}
    assert sorted(run.id for group in store.groups(9) for run in group) == sorted([run_id, other])
    shown = store.get(run_id)
    assert shown.state == "failed" and "doctor" in shown.reason and not shown.is_resumable
    assert [run.id for run in store.finished()] in ([other], [run_id, other])
    assert unmended(tmp_path) == []
    assert replace(store.get(run_id), process=before.process) == before
    assert [run.id for run in store.history()] == [run_id, other]


def test_a_damaged_entry_is_never_trained_and_its_owner_deletes_it(store, tmp_path):
    (waits,) = store.create([CDVFT], "secret")
    (next_one,) = store.create([LORA], "secret")
    change(tmp_path, "UPDATE runs SET settings = '{' WHERE id = ?", waits.id)
    with pytest.raises(IllegalTransition, match="damaged"):
        store.leases.acquire(waits.id, this_process())
    assert store.leases.next(this_process()).id == next_one.id
    assert store.state(waits.id) == "stopped" and store.leases.next(this_process()) is None
    store.delete(waits.id, "secret")
    assert [run.id for run in store.history()] == [next_one.id]


@pytest.mark.parametrize("group_id", ["a" * 31 + "\x7f", b"\xff" * 32, "", "a" * 500])
def test_a_run_whose_group_is_damaged_is_deleted_from_the_page(store, tmp_path, group_id):
    """It was shown, and named by nothing that the page could send, until `doctor` had run."""
    other, run_id = trained(store, settings=LORA), trained(store)
    change(tmp_path, "UPDATE runs SET group_id = ? WHERE id = ?", group_id, run_id)
    listed = {race["runs"][0]["id"]: race["group"] for race in races(store, {"token": "secret"})["races"]}
    assert [run.id for run in store.group(listed[run_id])] == [run_id]
    assert remove(store, {"group": listed[run_id], "token": "another's"})["error"]
    assert remove(store, {"group": listed[run_id], "token": "secret"}) == {"error": None}
    assert [run.id for run in store.history()] == [other]
    assert store.group(other) == [], "of a sound run the id names no group"


def test_an_entry_that_its_folder_cannot_restore_stays_and_is_told(store, tmp_path):
    run_id, other = trained(store), trained(store)
    change(tmp_path, "UPDATE runs SET settings = '{' WHERE id = ?", run_id)
    (store.folder(run_id) / "run.json").write_text("{")
    (told,) = unmended(tmp_path)
    assert run_id in told and "delete" in told
    assert store.get(run_id).damaged and not store.get(other).damaged


def test_what_is_done_to_a_damaged_entry_leaves_what_its_folder_tells(store, tmp_path):
    run_id = trained(store)
    change(tmp_path, "UPDATE runs SET settings = '{' WHERE id = ?", run_id)
    store.rename(run_id, "renamed", "secret")
    assert unmended(tmp_path) == [] and store.get(run_id).settings == CDVFT


def test_settings_of_a_newer_version_are_shown_and_not_trained(store, tmp_path):
    (run,) = store.create([CDVFT], "secret")
    values = json.loads(CDVFT.model_dump_json())
    values["rotations"], values["method"]["tilt"] = 3, 0.5
    change(tmp_path, "UPDATE runs SET settings = ?", json.dumps(values))
    shown = store.get(run.id)
    assert (shown.settings, shown.damaged, shown.state) == (CDVFT, False, "queued")
    assert "newer version" in shown.defect and "rotations" in shown.defect
    assert store.leases.next(this_process()) is None
    assert store.get(run.id).state == "stopped" and "newer version" in store.get(run.id).reason
    with pytest.raises(IllegalTransition, match="newer version"):
        RunQueue(store).resume(run.id, "secret")


DAMAGED_ROWS = ["data = '{'", "data = '[1]'", "data = replace(data, 'loss', 'lose')",
                "data = CAST(x'ff' AS TEXT)", "step = NULL", "step = 'x'",
                "kind = CAST(x'ff' AS TEXT)", "run_id = 'nobody'"]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGED_ROWS)
def test_a_damaged_row_of_a_curve_is_left_out_and_comes_back(store, tmp_path, damage):
    run_id = trained(store)
    change(tmp_path, f"UPDATE rows SET {damage} WHERE kind = 'step' AND step = 2")
    assert [row["step"] for row in store.rows(run_id, kinds=["step"])[0]] == [1, 3, 4]
    assert unmended(tmp_path) == []
    assert [row["step"] for row in store.rows(run_id, kinds=["step"])[0]] == [1, 2, 3, 4]


@pytest.mark.parametrize("column", ["id", "folder"])
def test_a_run_gets_its_id_and_its_folder_back(store, tmp_path, column):
    run_id = trained(store)
    change(tmp_path, f"UPDATE runs SET {column} = ?", "d" * 32)
    RunQueue(store).start()  # what happens before anybody calls the doctor
    assert unmended(tmp_path) == []
    assert store.get(run_id).state == "finished" and (store.folder(run_id) / "adapter").is_dir()
    assert len(store.rows(run_id)[0]) == 7


def test_a_forecast_that_cannot_be_read_counts_nothing(store, tmp_path):
    promised = {"whole_seconds": {"low": 1, "value": 5, "high": 9}}
    store.create([CDVFT], "t", forecasts=[promised], visitor="ada")
    (bad,) = store.create([CDVFT], "t", visitor="ada")
    change(tmp_path, "UPDATE runs SET forecast = '{' WHERE id = ?", bad.id)
    assert store.spending.promised("ada") == 5 and store.get(bad.id).forecast is None
