"""The sweep's form and what its view asks for: sentences instead of exceptions, and whose sweep it is."""

import re
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from form_values import refusal

from cdvft_app.settings import InvalidChoice
from cdvft_app.sweep import recorded
from cdvft_app.sweep.results import progress
from cdvft_app.ui.compare.sweep import (
    LABELS,
    START,
    go_on,
    promise_of,
    start_sweep,
    stop,
    sweep,
    sweep_request,
)


def test_the_form_starts_with_a_sweep_that_can_be(app):
    assert len(sweep_request(START).runs()) == 27
    assert re.search(r"<b>27 runs</b>, one after the other: about \d+ min, between", promise_of(app, START))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"methods": []}, "Choose at least one method"),
        ({"m": "2, two"}, "Diagonal vectors (m): got 'two'"),
        ({"m": "1, 2"}, "Diagonal vectors (m): got 1;"),
        ({"m": "2, 2"}, "Diagonal vectors (m): got [2, 2]; it names a value twice;"),
        ({"methods": ["lora"], "lora_r": "4, 4"}, "Rank (r): got [4, 4]; it names a value twice;"),
        ({"recipe": None}, "Recipe: got None;"),
        ({"epochs": "many"}, "Epochs: got 'many'"),
        ({"learning_rates": "-1"}, "Learning rate, times its own: got -1;"),
        ({"seeds": "x"}, "Seeds: got 'x';"),
        (
            {"seeds": "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"},
            "These lists make 99 runs; a sweep may have at most 96",
        ),
    ],
)
def test_what_cannot_be_is_a_sentence_that_names_the_fields_as_the_page_does(app, changed, sentence):
    assert refusal(lambda: promise_of(app, START | changed), LABELS).startswith(sentence)


def test_a_recipe_that_the_hub_cannot_give_is_a_sentence(app, tmp_path, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InvalidChoice, match="RoBERTa-base and GLUE SST-2 are not in the cache"):
        promise_of(app, START | {"recipe": "sst2"})


def test_lists_of_methods_that_do_not_run_are_not_looked_at(app):
    assert len(sweep_request(START | {"lora_r": "none", "fourierft_n": "-1"}).runs()) == 27


def test_a_sweep_is_one_group_that_only_its_owner_stops(app):
    group = start_sweep(app, START, "mine")
    answer = sweep(app, {"group": group, "token": "mine"})
    assert answer["mine"] and answer["progress"]["runs"] == answer["progress"]["waiting"] == 27
    assert answer["shown"]["title"] == "Sweep: Sentiment of film reviews"
    assert "shown" not in sweep(app, {"group": group, "known": answer["known"]}), "what is known"
    runs = app.store.group(group)
    assert all(run.forecast and run.forecast["trainable_parameters"]["value"] > 0 for run in runs)
    assert not sweep(app, {"group": group, "token": "other"})["mine"]
    assert "Only the browser that started" in stop(app, {"group": group, "token": "other"})["error"]
    assert stop(app, {"group": group, "token": "mine"}) == {"error": None}
    after = sweep(app, {"group": group, "token": "mine", "known": answer["known"]})
    assert after["progress"]["states"] == {"stopped": 27} and after["progress"]["waiting"] == 0
    assert "Only the browser that started" in go_on(app, {"group": group, "token": "other"})["error"]
    assert go_on(app, {"group": group, "token": "mine"}) == {"error": None}
    assert sweep(app, {"group": group})["progress"]["states"] == {"queued": 27}


def test_a_run_that_cannot_go_on_keeps_no_other_from_it(app):
    """Of a newer version, say; the first to be queued again."""
    group = start_sweep(app, START | {"m": "2", "seeds": "0"}, "mine")
    assert stop(app, {"group": group, "token": "mine"}) == {"error": None}
    first, *others = (run.id for run in app.store.group(group))
    newer = "UPDATE runs SET settings = json_set(settings, '$.rotations', 3) WHERE id = ?"
    with closing(sqlite3.connect(app.store.root / "history.sqlite")) as connection, connection:
        connection.execute(newer, (first,))
    assert app.store.get(first).defect
    assert go_on(app, {"group": group, "token": "mine"}) == {"error": None}
    assert app.store.state(first) == "stopped"
    assert {app.store.state(run_id) for run_id in others} == {"queued"}


def test_time_left_is_the_mean_of_the_ended_runs_times_those_that_wait(app):
    group = start_sweep(app, START | {"m": "2", "seeds": "0"}, "mine")
    first, second, *others = app.store.group(group)
    assert progress([first, second, *others])["seconds_left"] is None
    took = [replace(first, state="finished", started=100.0, ended=104.0),
            replace(second, state="finished", started=104.0, ended=112.0)]  # fmt: skip
    resumed = replace(first, state="finished", queued=first.created + 5, started=105.0, ended=106.0)
    assert progress([*took, *others])["seconds_left"] == 6 * len(others) > 0
    assert progress([*took, resumed, *others])["seconds_left"] == 6 * len(others), "its last leg is no run"
    assert progress(took)["seconds_left"] is None


def test_strangers_words_and_a_race_are_no_sweep(app):
    (race,) = app.store.create([sweep_request(START).runs()[0]], "mine")
    assert sweep(app, {"group": race.group_id}) == {"missing": True}
    for group in (None, "", "../..", "a" * 32):
        asked = {"group": group, "token": "mine"}
        assert sweep(app, asked) == {"missing": True}
        assert all("reload the page" in change(app, asked)["error"] for change in (stop, go_on))


def test_the_recorded_sweeps_are_drawn():
    assert [key for key, _ in recorded.recipes()][:2] == ["sentiment", "mnist"]
    for recipe, _ in recorded.recipes():
        shown = recorded.shown(recipe)
        assert shown["sentences"] and shown["heatmaps"] and shown["lines"]
        assert {"recorded", "origin", "title"} <= set(shown)
    assert recorded.shown("poetry") is None and recorded.shown(["sentiment"]) is None
