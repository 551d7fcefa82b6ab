"""Decide recommends by one rule, names the deciding column, and says when nothing fits."""

from __future__ import annotations

import itertools

import pytest

from cdvft_app.costs.request import DEVICE_KEYS, device, parse_cost
from cdvft_app.costs.sentences import label
from cdvft_app.decision.decide import decide, nearest_race
from cdvft_app.decision.fit import remedy
from cdvft_app.judging.judge import MARGIN
from cdvft_app.shapes import model_shapes

LLAMA = "meta-llama/Meta-Llama-3-8B"
MODELS = ("roberta-base", "gpt2", "vit_base_patch16_224", LLAMA)
AIMS = ("file", "memory", "time", "many", "quality")


def decided(here=16 * 10**9, lookup=lambda row: None, **asked):
    return decide(parse_cost({"model": "roberta-base", "methods": ["cdvft", "lora"], **asked}), here, lookup)


@pytest.mark.parametrize(("model", "aim"), [*itertools.product(MODELS, AIMS)])
def test_recommended_row_is_the_best_of_its_column(model, aim):
    for where in DEVICE_KEYS:
        made = decide(parse_cost({"model": model, "aim": aim, "device": where}), 10**12)
        row, race = made.recommended, made.known.race
        assert row is not None and label(row) in made.sentence
        assert made.known.fits[label(row)].word != "no"
        if aim == "quality":
            assert row["method"] in race.scores
            best = max(race.scores, key=lambda method: race.scores[method][0])
            if row["method"] != best:
                verdict = race.verdict(row["method"], best)
                assert verdict.low > -MARGIN and verdict.high < MARGIN
            continue
        fitting = [one for one in made.rows if label(one) in made.known.fits and one["method"] != "head"]
        fitting = [one for one in fitting if one["method"] != "full"]
        fitting = [one for one in fitting if made.known.fits[label(one)].word != "no"]
        least = {"file": "adapter_bytes", "memory": "step_bytes", "time": "flops_per_step"}.get(aim)
        if least:
            assert row[least] <= 1.015 * min(one[least] for one in fitting)


def test_nearest_race_has_the_kind_of_the_model():
    for model in MODELS:
        shapes = model_shapes(model)
        assert nearest_race(shapes).recipe.kind == shapes.kind


def test_measured_times_decide_about_time():
    seconds = {"cdvft": 1.0, "lora": 2.0}

    def measured(row):
        took = seconds[row["method"]]
        return {"seconds": took, "low": took, "high": took, "device": "a CPU", "time": 0, "others": 0}

    made = decided(lookup=measured, aim="time")
    assert (made.recommended["method"], made.column) == ("cdvft", "seconds")
    assert decided(aim="time").column == "flops"


def test_leaner_request_is_answered_where_nothing_fits():
    made = decide(parse_cost({"model": LLAMA, "methods": ["cdvft", "lora"], "device": "l4", "batch": 8}))
    assert made.request != made.asked_rows and made.recommended is not None
    assert all(one.word != "no" for one in made.known.fits.values())
    assert made.asked_rows[0]["step_bytes"] > 24 * 10**9 > made.rows[0]["step_bytes"]


@pytest.mark.parametrize(
    ("memory", "changed"),
    [
        (15e9, set()),
        (6e9, {"batch"}),
        (1.2e9, {"batch", "gradient_checkpointing", "precision"}),
    ],
)
def test_remedy_changes_the_cheapest_first(memory, changed):
    asked = parse_cost({"model": "gpt2", "methods": ["lora"], "batch": 8, "sequence": 512})
    found = remedy(asked, asked.methods[0], device("here", int(memory))).request
    differing = {name for name in ("batch", "gradient_checkpointing", "precision", "sequence")
                 if getattr(found, name) != getattr(asked, name)}  # fmt: skip
    assert differing == changed
