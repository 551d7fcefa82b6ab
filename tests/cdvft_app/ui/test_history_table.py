"""The history as a table of runs: what a row says, and what is done with several chosen at once."""

from __future__ import annotations

import zipfile

import pytest
from ended_runs import trained

from cdvft_app import catalog
from cdvft_app.settings import RunSettings
from cdvft_app.ui.train import history, history_file


def rows(store, token="mine"):
    return {row["id"]: row for row in history.runs(store, {"token": token})["runs"]}


def test_each_run_is_a_row_with_what_it_can_be_found_by(app):
    run_id = trained(app.store, "mine")
    other = trained(app.store, "another's")
    found = rows(app.store)
    row = found[run_id]
    assert row["data"] == catalog.get_dataset("rotten_tomatoes").title
    assert (row["state"], row["method_title"], row["metric"]) == ("finished", "LoRA", 0.5)
    assert row["label"].startswith("LoRA r")
    assert found[run_id]["mine"] and not found[other]["mine"]
    assert [*found] == [other, run_id]  # the newest first


def test_a_tag_is_a_word_of_the_name_and_is_given_to_whole_races(app):
    first, second = (run.id for run in app.store.create(
        [RunSettings(method="cdvft"), RunSettings(method="lora")], "mine", "Tickets"
    ))  # fmt: skip
    assert history.tag(app.store, {"runs": [first], "tag": "for the boss", "token": "mine"}) == {
        "error": None
    }
    found = rows(app.store)
    assert found[first]["tags"] == found[second]["tags"] == ["for-the-boss"]
    assert found[first]["name"] == "Tickets"
    history.tag(app.store, {"runs": [first], "tag": "for-the-boss", "token": "mine"})
    assert app.store.get(first).name == "Tickets #for-the-boss"  # once
    assert history.tag(app.store, {"runs": [first], "tag": "!!", "token": "mine"})["error"]
    assert "browser that started" in history.tag(
        app.store, {"runs": [first], "tag": "x", "token": "another's"}
    )["error"]  # fmt: skip


def test_several_runs_are_deleted_at_once_or_none(app):
    first, second, others = (trained(app.store, who) for who in ("mine", "mine", "another's"))
    assert history.remove(app.store, {"runs": [first, others], "token": "mine"})["error"]
    assert {*rows(app.store)} == {first, second, others}
    assert history.remove(app.store, {"runs": [first, second], "token": "mine"}) == {"error": None}
    assert {*rows(app.store)} == {others}


def test_chosen_runs_are_taken_along_and_others_are_not(app):
    trained(app.store, "mine")
    second = trained(app.store, "mine")
    file, said = history_file.export(app, "mine", {"runs": [second]})
    assert "1 run, " in said
    with zipfile.ZipFile(file) as archive:
        assert {name.partition("/")[0] for name in archive.namelist()} == {second}


@pytest.mark.parametrize(
    "asked", [{"runs": []}, {"runs": [], "token": "mine"}, {"runs": ["../.."], "token": "t"}]
)
def test_nonsense_is_answered(app, asked):
    trained(app.store, "mine")
    refused = history.tag(app.store, {**asked, "tag": "good"}), history.remove(app.store, asked)
    assert all(one["error"] for one in refused)
    assert len(history.runs(app.store, {})["runs"]) == 1
