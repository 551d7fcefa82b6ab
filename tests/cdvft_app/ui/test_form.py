"""From what stands in the controls to what is asked for, and back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from form_values import EMPTY, refusal

from cdvft_app import catalog
from cdvft_app.commands.options import OPTIONS
from cdvft_app.methods import labels
from cdvft_app.settings import InvalidChoice, RaceRequest, RunSettings
from cdvft_app.ui.shared import form
from cdvft_app.ui.train.controls import choices, placeholder, targets


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ({}, {}),
        ({"m": " 3 ", "alpha": "1e-1", "seed": "7"}, {"m": 3, "alpha": 0.1, "seed": 7}),
        ({"max_steps": "1e3", "alpha": "2.0", "m": "2"}, {"max_steps": 1000, "alpha": 2.0, "m": 2}),
        ({"methods": ["lora", "cdvft"]}, {"methods": ("cdvft", "lora")}),
        ({"learning_rate.cdvft": "0.02"}, {"learning_rates": {"cdvft": 0.02}}),
        ({"learning_rate.lora": "0.02"}, {}),  # LoRA is not in this race
        ({"target_modules": ["key"]}, {"target_modules": ("key",)}),
        ({"target_modules": []}, {}),
    ],
)
def test_a_race_is_what_was_typed(typed: dict[str, Any], asked: dict[str, Any]) -> None:
    assert form.race(EMPTY | typed) == RaceRequest(**{"methods": ("cdvft",), **asked})


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"m": "two"}, "Diagonal vectors (m): got 'two'; "),
        ({"alpha": "nan"}, "Scale (α): got nan; it must be a finite number."),
        ({"methods": []}, "Choose at least one method"),
        ({"methods": ["telepathy"]}, "Race: got 'telepathy'; it must be 'cdvft', "),
        ({"learning_rate.cdvft": "inf"}, "Learning rate of CDVFT: got inf; "),
        ({"schedule": "sometimes"}, "Schedule: got 'sometimes'; "),
        ({"max_steps": "2.5"}, "Max steps: got 2.5; it must be a whole number from 1 to 100,000."),
        (
            {"m": "1", "warmup_ratio": "3"},
            "Warm-up: got 3; it must be from 0 to 0.5. Diagonal vectors (m): got 1;",
        ),
        ({"block_size": "5000"}, "Block size (p): got 5000; attention.self.query is 384 x 384"),
        ({"methods": ["lora"], "lora_r": "500"}, "LoRA rank (r): got 500; attention.self.query is 384 x 384"),
        (
            {"model": "bert"},
            "There is no model 'bert'. Choose one of MiniLM (6 layers); Multilingual E5 small (12 layers); "
            "RoBERTa-base; RoBERTa-large or a hub id such as google-bert/bert-base-uncased.",
        ),
        ({"dataset": "imdb"}, "There is no dataset 'imdb'. Choose one of Rotten Tomatoes; "),
        ({"recipe": "none"}, "There is no recipe 'none'. Choose one of Sentiment of film reviews; "),
        ({"model": "vit_small"}, "ViT-S/14, derived from DINOv2 takes images, and Rotten Tomatoes has text;"),
        (
            {"model": "vit_small", "dataset": "mnist"},
            "Sentiment of film reviews is for text, but ViT-S/14, derived from DINOv2 and MNIST, 5,000 "
            "images are for images; choose one of Handwritten digits (MNIST); Tiny handwritten digits; ",
        ),
        ({"data": {form.UNLEARNABLE: "It has one column."}}, "It has one column."),
        (
            {"methods": ["lora"], "lora_r": "2, 4, 8", "learning_rate.lora": "1, 2"},
            "LoRA: one of its fields has 3 values and ",
        ),
        ({"target_modules": ["nope"]}, "MiniLM (6 layers) has no linear layer 'nope'. It has attention.self"),
    ],
)
def test_a_refusal_names_fields_as_the_page_labels_them_and_things_by_their_titles(typed, sentence) -> None:
    said = refusal(lambda: [catalog.resolve(settings) for settings in form.race(EMPTY | typed).runs()])
    assert said.startswith(sentence)
    assert not {"minilm", "vit_small", "rotten_tomatoes", "lora_r"} & set(re.findall(r"\w+", said))


def test_a_method_that_does_not_fit_the_recipe_is_left_out_and_named() -> None:
    values = EMPTY | {"recipe": "addresses", "methods": ["cdvft", "head"]}
    assert [one.method.key for one in form.race(values).runs()] == ["cdvft"]
    assert form.left_out(values) == ["head"]
    assert form.left_out(EMPTY | {"methods": ["cdvft", "head"]}) == []  # texts have classes
    with pytest.raises(InvalidChoice, match="writes its answers without one"):  # where none fits
        catalog.resolve(form.race(values | {"methods": ["head"]}).runs()[0])


@pytest.mark.parametrize(
    ("chosen", "summary"),
    [
        ({"max_steps": 1}, "1 step · seed 0"),
        ({"max_steps": 2, "m": 3}, "m\u00a0=\u00a03 · 2 steps · seed 0"),
        ({"epochs": 1.0}, "1 epoch · seed 0"),
        ({"epochs": 1.5, "seed": 4}, "1.5 epochs · seed 4"),
        (
            {"recipe": "sst2", "model": "minilm", "dataset": "owner/name"},
            "MiniLM (6 layers) · owner/name · seed 0",
        ),
    ],
)
def test_a_summary_counts_in_words_and_calls_another_model_by_its_title(chosen, summary) -> None:
    assert form.summary(RunSettings(method="cdvft", **chosen)) == summary


@pytest.mark.parametrize(
    "kept",
    [None, [], "text", {"recipe": "gone"}, {"recipe": 3, "methods": "cdvft", "m": {}, "model": []},
     {"methods": ["gone", 4, None], "target_modules": [[]], "schedule": 1, "m": True},
     {"m": "1" * 5_000, "learning_rate.lora": "1" * 5_000}],
)  # fmt: skip
def test_a_kept_form_may_be_anything(kept: object) -> None:
    values = form.remembered(kept)
    assert set(values) == set(form.FIELDS)
    assert values["recipe"] in catalog.RECIPES
    fields = [values[name] for name in (*form.NUMBERS, *form.RATES)]
    assert all(isinstance(value, str) and len(value) <= 120 for value in fields)


@pytest.mark.parametrize(
    ("typed", "raced"),
    [
        ({"lora_r": "8,16,"}, ["LoRA r = 8", "LoRA r = 16"]),
        (
            {"lora_rank_pattern": "query=16 value=4, automatic"},
            ["LoRA r = 8, ranks = query=16 value=4", "LoRA r = 8, ranks = r in every layer"],
        ),
        ({"learning_rate.lora": "1e-3, 0.003"}, ["LoRA r = 8, rate 0.001", "LoRA r = 8, rate 0.003"]),
        (
            {"lora_r": "8, 16", "learning_rate.lora": "1e-3, 0.003"},
            ["LoRA r = 8, rate 0.001", "LoRA r = 16, rate 0.003"],
        ),
        (
            {"methods": ["lora", "cdvft"], "block_size": "automatic, 96"},
            ["CDVFT p = each layer's default", "CDVFT p = 96", "LoRA r = 8"],
        ),
    ],
)
def test_several_values_in_a_field_race_a_method_several_times(typed: dict, raced: list[str]) -> None:
    request = form.race(EMPTY | {"methods": ["lora"]} | typed)
    told = labels([run.method for run in request.runs()])
    assert [label.replace("\u00a0", " ") for label in told] == raced
    again = form.race(form.remembered(form.from_runs(request.runs())))
    assert again.methods == request.methods


OWN = {"model": None, "dataset": None, "target_modules": []}
WRITTEN = {
    "sha256": "0" * 64, "title": "letters", "kind": "generation", "inputs": ["prompt"], "label": "answer",
    "metric": "chrf", "train_rows": 40, "evaluation_rows": 10,
}  # fmt: skip


@pytest.mark.parametrize(
    ("kept", "healed"),
    [
        ({"recipe": "mnist", "model": "minilm", "dataset": "rotten_tomatoes"}, OWN),
        ({"recipe": "mnist", "model": "vit_small", "dataset": "mnist", "target_modules": ["query"]}, OWN),
        ({"recipe": "sentiment", "model": "gone"}, OWN),
        ({"recipe": "sentiment", "model": "x" * 300}, OWN),
        ({"recipe": "sentiment", "target_modules": ["key"], "m": "1"}, {"target_modules": ["key"]}),
        ({"recipe": "mnist", "model": "vit_small", "dataset": "mnist"}, {"model": "vit_small"}),
        ({"recipe": "addresses", "data": WRITTEN}, {"data": WRITTEN}),
    ],
)
def test_a_kept_form_heals_where_its_parts_do_not_go_together(kept: dict, healed: dict) -> None:
    values = form.remembered(kept)
    assert {name: values[name] for name in healed} == healed
    assert values["recipe"] == kept["recipe"] and values["m"] == kept.get("m", "2")


@pytest.mark.parametrize(
    ("chosen", "model", "layers"),
    [
        ({"recipe": "mnist"}, "vit_small", ("attn.qkv", "attn.proj")),  # in fields of sentiment still
        ({"model": "roberta_base"}, "roberta_base", ("query", "value")),
        ({}, "minilm", ("key",)),
    ],
)
def test_until_a_choice_is_answered_its_own_model_and_layers_stand(
    chosen: dict, model: str, layers: tuple[str, ...]
) -> None:
    fields = EMPTY | {"model": "minilm", "dataset": "rotten_tomatoes", "target_modules": ["key"]} | chosen
    (settings,) = form.race(form.applied(fields, ["sentiment", "minilm"])).runs()
    plan = catalog.resolve(settings)
    assert (plan.settings.model, plan.settings.target_modules) == (model, layers)


@pytest.mark.parametrize("filled_for", [None, "x", [], ["sentiment"], {"a": 1}, [1, 2, 3]])
def test_what_fields_are_filled_for_may_be_anything(filled_for: object) -> None:
    assert form.applied(EMPTY, filled_for)["model"] is None


@pytest.mark.parametrize("recipe", catalog.RECIPES.values(), ids=lambda recipe: recipe.key)
def test_every_recipe_fills_the_controls(recipe: catalog.Recipe) -> None:
    for name in ("model", "dataset"):
        offered = choices(name, recipe)
        assert offered["value"] == offered["choices"][0][1]
    offered = targets(recipe.model, recipe)
    assert set(offered["value"]) <= set(offered["choices"])
    assert placeholder("learning_rate.cdvft", recipe) == f"{recipe.learning_rates['cdvft']:g}"
    request = form.race(EMPTY | {"recipe": recipe.key, "target_modules": offered["value"]})
    filled = catalog.resolve(request.runs()[0]).settings
    assert (placeholder("lora_r", recipe), placeholder("fourierft_n", recipe)) == ("8", "1000")
    for name in ("batch_size", "epochs", "weight_decay", "checkpoint_every"):
        assert placeholder(name, recipe) == f"{getattr(filled, name):g}"
    assert filled.target_modules == recipe.targets


@pytest.mark.parametrize(("m", "share"), [("", 1), ("3", 1), ("4", 0.3), ("many", 1)])
def test_the_rate_that_stands_in_the_empty_field_is_the_one_that_m_is_run_with(m: str, share: float) -> None:
    recipe = catalog.get_recipe("mnist")
    assert placeholder("learning_rate.cdvft", recipe, m) == f"{share * recipe.learning_rates['cdvft']:g}"
    assert placeholder("learning_rate.lora", recipe, m) == f"{recipe.learning_rates['lora']:g}"
    if m.isdecimal():
        runs = form.race(EMPTY | {"recipe": "mnist", "m": m, "methods": ["cdvft", "lora"]}).runs()
        assert [catalog.resolve(run).settings.method.learning_rate for run in runs] == [
            share * recipe.learning_rates["cdvft"],
            recipe.learning_rates["lora"],
        ]


def test_every_setting_has_a_hint_and_a_control() -> None:
    on_the_page = {*form.FIELDS} - {*form.RATES, *form.METHOD_SETTINGS, "recipe", "data"}
    assert on_the_page | {"recipe", "data"} == set(RaceRequest.model_fields)
    assert all(form.OF_RACE[name].title and form.OF_RACE[name].hint for name in on_the_page)
    options = {name: meaning for name, (_, meaning) in OPTIONS.items()}
    assert all(form.OF_RACE[name].hint in options[name] for name in on_the_page - {"methods"})
    assert all(one.hint for one in form.METHOD_SETTINGS.values())
    assert {*form.METHOD_SETTINGS, *form.RATES} <= {*form.FIELDS}
