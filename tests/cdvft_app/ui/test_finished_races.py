"""A finished race fills the cost comparison, and says what it took."""

from __future__ import annotations

import run_events

from cdvft_app import catalog
from cdvft_app.settings import RaceRequest
from cdvft_app.ui.compare.finished_races import choices, measured, values
from cdvft_app.ui.compare.form import FIELDS
from cdvft_app.ui.shared.state import AppState


def finish(app: AppState, request: RaceRequest) -> str:
    runs = app.store.create([catalog.resolve(one).settings for one in request.runs()], None, "A race")
    for run in runs:
        app.store.set_state(run.id, "preparing")
        app.store.append(run.id, run_events.started(9, trainable_parameters=13_824, evaluation_examples=32))
        app.store.append(run.id, run_events.done(9, peak_memory_bytes=1_190_000_000, seconds=39.25))
    return runs[0].group_id


def test_only_races_that_finished_are_offered(app: AppState) -> None:
    app.store.create([catalog.resolve(one).settings for one in RaceRequest().runs()], None)
    assert choices(app.store) == []
    race = finish(app, RaceRequest(methods=("cdvft", "lora")))
    ((title, group_id),) = choices(app.store)
    assert group_id == race
    assert title.startswith("A race · ")
    assert title.endswith("· CDVFT, LoRA r\u00a0=\u00a08")


def test_a_text_race_fills_every_control(app: AppState) -> None:
    ranks = "query=2 value=6"
    race = finish(
        app, RaceRequest(methods=("cdvft", "lora"), m=3, lora_r=4, lora_rank_pattern=ranks, batch_size=8)
    )
    found = values(app.store, race)
    assert found
    assert set(found) == set(FIELDS)
    assert found["model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert (found["targets"], found["methods"]) == (["query", "value"], ["cdvft", "lora"])
    numbers = {name: found[name] for name in ("m", "lora_r", "batch", "sequence", "image_size", "block_size")}
    assert numbers == {
        "m": "3", "lora_r": "4", "batch": "8", "sequence": "48", "image_size": "", "block_size": "",
    }  # fmt: skip
    assert found["lora_rank_pattern"] == ranks


def test_an_image_race_brings_pixels_and_the_block_size_that_ran(app: AppState) -> None:
    found = values(app.store, finish(app, RaceRequest(recipe="mnist", methods=("c3a",))))
    assert found
    assert (found["model"], found["targets"]) == ("timm/vit_small_patch14_dinov2", ["attn.qkv", "attn.proj"])
    assert (found["image_size"], found["sequence"], found["c3a_block_size"]) == ("70", "", "384")


def test_what_it_took(app: AppState) -> None:
    told = measured(app.store, finish(app, RaceRequest(methods=("cdvft", "lora"))))
    assert "on CPU, 2 threads" in told
    assert told.count("<b>39.2 s, 1.19 GB</b>") == 2


def test_a_race_that_is_not_there(app: AppState) -> None:
    for stranger in ("nobody", "../x", None, 7, ["a"]):
        assert values(app.store, stranger) is None
        assert measured(app.store, stranger) == ""
