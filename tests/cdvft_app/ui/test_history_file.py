"""The visitor's own history as one file, and back, as the page does it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from ended_runs import trained

from cdvft_app.results.finished_run import ResultsError
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.training.queue import RunQueue
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.train import history_file


@pytest.fixture
def elsewhere(tmp_path: Path):
    store = RunStore(tmp_path / "elsewhere")
    yield AppState.make(store, RunQueue(store))
    store.close()


def test_ones_own_runs_go_from_one_studio_to_another_all_or_those_that_are_chosen(app, elsewhere):
    trained(app.store, "another's")
    with pytest.raises(ResultsError, match="None of the runs here is yours"):
        history_file.export(app, "mine")
    first, second = (trained(app.store, "mine") for _ in range(2))
    for chosen, said, taken, there in (
        ({"runs": [second]}, "1 run, ", "1 run taken.", [second]),
        (None, "2 runs, ", "1 run taken. 1 was here before.", [first, second]),
        (None, "2 runs, ", "0 runs taken. 2 were here before.", [first, second]),
    ):
        file, told = history_file.export(app, "mine", chosen)
        assert said in told and taken in history_file.bring(elsewhere, file, "mine there")
        assert sorted(run.id for run in elsewhere.store.history()) == sorted(there)


def test_what_visitors_of_a_public_server_bring_is_private_and_has_its_room(app, elsewhere, monkeypatch):
    trained(app.store, "mine")
    file, _ = history_file.export(app, "mine")
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv("CDVFT_UPLOAD_BYTES", "1000")
    with pytest.raises(StoreError, match="unpacks to"):  # to more than there is room for
        history_file.bring(elsewhere, file, "mine there")
    monkeypatch.setenv("CDVFT_UPLOAD_BYTES", "100000")
    history_file.bring(elsewhere, file, "mine there")
    assert elsewhere.store.history() == []  # of nobody else's
    monkeypatch.setenv("CDVFT_UPLOAD_BYTES", "1000")
    with pytest.raises(StoreError, match=r"fill the 0\.001 MB"):
        history_file.bring(elsewhere, file, "mine there")


def test_a_model_that_may_not_be_had_here_is_not_brought(app, elsewhere):
    run_id = trained(app.store, "mine")
    file, _ = history_file.export(app, "mine")
    forged = file.with_name("forged.zip")
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(forged, "w") as new:
        for info in old.infolist():
            held = old.read(info)
            if info.filename == f"{run_id}/run.json":
                held = held.replace(b'\\"model\\":null', b'\\"model\\":\\"nothing of that name\\"')
            new.writestr(info.filename, held)
    said = history_file.bring(elsewhere, forged, "mine there")
    assert "0 runs taken. 1 not taken: " in said and "nothing of that name" in said
