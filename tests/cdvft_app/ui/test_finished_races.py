"""A finished race fills the cost comparison, and says what it took."""

from __future__ import annotations

from typing import Any

from ending import end, raced

from cdvft_app.ui.compare.finished_races import choices, measured, values
from cdvft_app.ui.compare.form import FIELDS
from cdvft_app.ui.shared.state import AppState


def finish(app: AppState, **race: Any) -> str:
    ids = raced(app, name="A race", **race)
    for run_id in ids:
        end(app, run_id, peak_memory_bytes=1_190_000_000, seconds=39.25)
    return app.store.get(ids[0]).group_id


def test_only_races_that_finished_are_offered_with_what_they_took(app: AppState) -> None:
    raced(app)
    assert choices(app.store) == []
    race = finish(app, methods=("cdvft", "lora"))
    ((title, group_id),) = choices(app.store)
    assert group_id == race
    assert title.startswith("A race · ") and title.endswith("· CDVFT, LoRA r\u00a0=\u00a08")
    told = measured(app.store, race)
    assert "on CPU, 2 threads" in told and told.count("<b>39.2 s, 1.19 GB</b>") == 2


def test_a_text_race_fills_every_control(app: AppState) -> None:
    ranks = "query=2 value=6"
    asked = {"m": 3, "lora_r": 4, "lora_rank_pattern": ranks, "batch_size": 8}
    found = values(app.store, finish(app, methods=("cdvft", "lora"), **asked))
    assert found and set(found) == set(FIELDS)
    assert found["model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert (found["targets"], found["methods"]) == (["query", "value"], ["cdvft", "lora"])
    numbers = {name: found[name] for name in ("m", "lora_r", "batch", "sequence", "image_size", "block_size")}
    assert numbers == {
        "m": "3", "lora_r": "4", "batch": "8", "sequence": "48", "image_size": "", "block_size": "",
    }  # fmt: skip
    assert found["lora_rank_pattern"] == ranks


def test_an_image_race_brings_pixels_and_the_block_size_that_ran(app: AppState) -> None:
    found = values(app.store, finish(app, recipe="mnist", methods=("c3a",)))
    assert found
    assert (found["model"], found["targets"]) == (
        "timm/vit_small_patch14_dinov2",
        ["attn.qkv", "attn.proj"],
    )
    assert (found["image_size"], found["sequence"], found["c3a_block_size"]) == ("70", "", "384")


def test_a_race_that_is_not_there(app: AppState) -> None:
    for stranger in ("nobody", "../x", None, 7, ["a"]):
        assert values(app.store, stranger) is None
        assert measured(app.store, stranger) == ""
