"""After a change of model no field of the Compare tab that is shown stays blank."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from form_values import refusal

from cdvft_app.costs.request import parse_cost
from cdvft_app.costs.table import cost_table
from cdvft_app.ui.compare.form import FIELDS, LABELS, START, cost_request, fields_of, recorded_costs


def filled(model: str) -> dict[str, object]:
    fields = fields_of(model)
    shown = {name: one["value"] for name, one in fields.items() if one.get("visible", True)}
    assert all(shown.values()), shown
    assert set(shown) in ({"targets", "sequence"}, {"targets", "image_size"})
    return {**START, **{name: one["value"] for name, one in fields.items()}, "model": model}


@pytest.mark.parametrize("model", [entry["id"] for entry in recorded_costs()["models"]])
def test_known_models_fill_every_field_with_what_an_empty_one_means(model: str) -> None:
    values = filled(model)
    asked = {"model": model, "methods": ["lora"]}
    explicit = parse_cost({**cost_request(values), "methods": ["lora"], "batch": 16})
    assert cost_table(explicit) == cost_table(parse_cost(asked))


def test_a_model_that_is_looked_up_fills_them_too(tmp_path: Path) -> None:
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = {"model_type": "bert", "vocab_size": 100, "max_position_embeddings": 40, **sizes}
    (tmp_path / "config.json").write_text(json.dumps(config))
    values = filled(str(tmp_path))
    assert (values["targets"], values["sequence"]) == (["query", "value"], "40")


def test_ranks_of_layers_are_counted() -> None:
    asked = {**START, "methods": ["lora"]}
    alike, apart = (
        cost_table(parse_cost(cost_request({**asked, "lora_rank_pattern": typed})))[0]
        for typed in ("", " query=16 value=4 ")
    )
    assert apart["trainable_parameters"] == (16 + 4) / (8 + 8) * alike["trainable_parameters"]


def test_a_model_that_nobody_knows_leaves_usual_values(tmp_path: Path) -> None:
    values = filled(str(tmp_path / "nothing"))
    assert (values["targets"], values["sequence"]) == (["all-linear"], "128")


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"lora_r": "0"}, "Rank (r): got 0; it must be from 1 to 512."),
        (
            {"block_size": "769", "batch": "x"},
            "Batch size: got 'x'; it must be a whole number from 1 to 65,536.",
        ),
        ({"block_size": "769"}, "Block size (p): got 769; encoder.layer.0.attention.self.query is 768 x 768"),
        ({"c3a_block_size": "5"}, "Block size (b): got 5; it must divide the sizes of all layers, and so"),
        ({"targets": ["nope"]}, "Layers: FacebookAI/roberta-base has no linear layer 'nope'."),
        ({"methods": []}, "Methods: got []; give at least 1."),
    ],
)
def test_a_refused_comparison_names_the_fields_as_the_page_labels_them(typed, sentence) -> None:
    values = dict.fromkeys(FIELDS, "") | START | typed
    said = refusal(lambda: cost_table(parse_cost(cost_request(values))), LABELS)
    assert said.startswith(sentence) and "None" not in said
