from __future__ import annotations

import json

import pytest
from sources import ROOT

from cdvft_app import catalog
from cdvft_app.settings import InvalidChoice, RunSettings


def _plan(method: str = "cdvft", **choices):
    return catalog.resolve(RunSettings(method=method, **choices))


def test_defaults_are_the_recipes() -> None:
    plan = _plan()
    assert plan.recipe.key == "sentiment"
    assert plan.model.key == plan.settings.model == "minilm"
    assert plan.dataset.key == plan.settings.dataset == "rotten_tomatoes"
    assert plan.target_shapes == (
        ("attention.self.query", 384, 384, 6),
        ("attention.self.value", 384, 384, 6),
    )
    assert plan.settings.max_length == plan.recipe.max_length
    assert (plan.settings.image_size, plan.settings.max_steps) == (None, None)


def test_who_chooses_nothing_trains_as_the_races_whose_results_are_published() -> None:
    """Else a default that has changed would be beside results of another."""
    recorded = json.loads((ROOT / "benchmarks" / "results" / "default_race.json").read_text())["runs"]
    nested = [one for one in recorded if isinstance(one["settings"]["method"], dict)]
    assert {(one["recipe"], one["method"]) for one in nested} >= {
        (recipe, method)
        for recipe in ("sentiment", "mnist", "digits", "addresses", "sql")
        for method in ("cdvft", "lora", "fourierft")
    }
    for one in nested:
        plan = _plan(one["method"], recipe=one["recipe"], seed=one["seed"])
        now = plan.settings.model_dump(mode="json")
        method = now.pop("method")
        assert method.items() >= one["settings"].pop("method").items(), one["recipe"]
        assert now.items() >= one["settings"].items(), one["recipe"]


def test_choices_win() -> None:
    chosen = dict(epochs=1.0, batch_size=4, train_examples=64, evaluation_examples=32, max_length=16)
    plan = _plan(**chosen, learning_rate=0.5, target_modules=("output.dense",))
    assert plan.settings.method.learning_rate == 0.5
    assert {name: getattr(plan.settings, name) for name in chosen} == chosen
    assert plan.target_shapes == (("attention.output.dense", 384, 384, 6), ("output.dense", 384, 1536, 6))


def test_a_layer_named_twice_is_adapted_once() -> None:
    assert _plan(target_modules=("query", "self.query")).target_shapes == (
        ("attention.self.query", 384, 384, 6),
    )


@pytest.mark.parametrize(
    ("method", "choices", "expected"),
    [
        ("cdvft", {}, 13_824),
        ("cdvft", {"m": 3}, 23_040),
        ("cdvft", {"block_size": 192}, 18_432),
        ("lora", {}, 73_728),
        ("fourierft", {}, 12_000),
        ("fourierft", {"block_size": 512, "lora_r": 512, "c3a_block_size": 7}, 12_000),  # of other methods
        ("c3a", {}, 4_608),
        ("c3a", {"c3a_block_size": 96}, 18_432),
        ("head", {}, 0),
        ("full", {}, 22_565_376),
        ("cdvft", {"recipe": "mnist"}, 46_080),
        ("lora", {"recipe": "mnist"}, 221_184),
        ("cdvft", {"recipe": "sst2"}, 55_296),
        ("lora", {"recipe": "sst2"}, 294_912),
        ("cdvft", {"model": "owner/name"}, None),
    ],
)
def test_trainable_parameters(method: str, choices: dict, expected: int | None) -> None:
    assert _plan(method, **choices).trainable_parameters() == expected


def test_another_model_brings_its_own_targets_and_size() -> None:
    plan = _plan(recipe="mnist", model="vit_base")
    assert plan.settings.target_modules == ("attn.qkv",)
    assert plan.settings.image_size == 224
    assert _plan(recipe="cifar10", model="vit_small").settings.image_size == 70


def test_another_dataset_of_the_kind() -> None:
    plan = _plan(dataset="mrpc", train_examples=100_000)
    assert plan.dataset.metric == "accuracy"
    assert plan.settings.train_examples == 3_668


@pytest.mark.parametrize(
    ("dataset", "asked", "taken"),
    [
        ("rotten_tomatoes", 100_000, 1706),  # one in five of 8,530
        ("rotten_tomatoes", 500, 500),
        ("mrpc", 100_000, 100_000),  # a split of the hub's that nobody counted here
    ],
)
def test_more_rows_than_are_held_out_are_not_promised(dataset: str, asked: int, taken: int) -> None:
    assert _plan(dataset=dataset, evaluation_examples=asked).settings.evaluation_examples == taken


def test_c3a_takes_the_largest_common_block() -> None:
    assert _plan("c3a").settings.method.block_size == 384
    assert _plan("c3a", target_modules=("query", "intermediate.dense")).settings.method.block_size == 384
    assert _plan("cdvft").settings.method.block_size is None


@pytest.mark.parametrize(
    ("method", "choices", "sentence"),
    [
        ("cdvft", {"recipe": "sentimint"}, "There is no recipe 'sentimint'. Choose one of sentiment, mnist"),
        ("cdvft", {"model": "bert"}, "There is no model 'bert'. Choose one of minilm, .* or a hub id"),
        ("cdvft", {"recipe": "mnist", "model": "convnext_tiny"},
         r"Choose one of vit_small, .* or a hub id such as timm/convnext_tiny\.fb_in22k"),
        ("cdvft", {"dataset": "imdb"}, "There is no dataset 'imdb'. Choose one of rotten_tomatoes"),
        ("cdvft", {"model": "vit_small"},
         "ViT-S/14, derived from DINOv2 takes images, and Rotten Tomatoes has text"),
        ("cdvft", {"model": "vit_small", "dataset": "mnist"},
         "Sentiment of film reviews is for text.*choose one of mnist, digits"),
        ("cdvft", {"model": "../etc/passwd"},
         "'../etc/passwd' is not a hub id; it must look like owner/name, such as google-bert/bert-base-"),
        ("cdvft", {"dataset": "owner/na me"}, "is not a hub id"),
        ("cdvft", {"target_modules": ("c_attn",)}, "no linear layer 'c_attn'. It has attention.self.query"),
        ("cdvft", {"block_size": 385},
         "block_size: got 385; attention.self.query is 384 x 384, so .* at most 384"),
        ("lora", {"lora_r": 385}, "lora_r: got 385; attention.self.query is 384 x 384"),
        ("fourierft", {"fourierft_n": 147_457}, "fourierft_n: got 147457; .* there are 147456 frequencies"),
        ("c3a", {"c3a_block_size": 100},
         "c3a_block_size: got 100; it must divide the sizes of all layers, and so 384"),
        ("cdvft", {"max_length": 513}, "max_length: got 513; MiniLM .* at most 512 tokens"),
        ("cdvft", {"recipe": "mnist", "image_size": 75},
         "image_size: got 75; .* multiples of 14, such as 70 or 84"),
        ("cdvft", {"dataset": "sst2", "dataset_config": "x"},
         "dataset_config: got 'x'; GLUE SST-2 has its own"),
        ("lora", {"dataset": "ada/films", "evaluation_split": "train"},
         "evaluation_split: got 'train', which is trained on"),
        ("cdvft", {"bits": 4}, "bits is for models that write"),
        ("cdvft", {"recipe": "mnist", "gradient_checkpointing": True},
         "gradient_checkpointing is for models that"),
        ("full", {"recipe": "addresses", "bits": 8}, "got 8; Full fine-tuning trains every weight"),
        ("cdvft", {"recipe": "addresses", "batch_size": 4, "gradient_accumulation": 8},
         "got 8; a batch of 4 has no more parts than examples"),
        ("cdvft", {"recipe": "addresses", "max_length": 1024, "model": "roberta_base"},
         "choose both of one kind"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(method: str, choices: dict, sentence: str) -> None:
    with pytest.raises(InvalidChoice, match=sentence):
        _plan(method, **choices)


@pytest.mark.parametrize("public", [("SPACE_ID", "someone/space"), ("GRADIO_SHARE", "True")])
def test_typed_ids_work_at_home_and_not_in_public(monkeypatch, public) -> None:
    plan = _plan(model="owner/some-model", dataset="owner/some.data", block_size=4096)
    assert (plan.model.source, plan.model.revision, plan.target_shapes) == ("hub", "main", ())
    assert (plan.dataset.kind, plan.dataset.text_columns) == ("text", ())
    assert _plan(recipe="mnist", model="timm/some").model.pooling == "timm"
    monkeypatch.setenv(*public)
    assert not catalog.hub_ids_allowed()
    for choice in ({"model": "owner/some-model"}, {"dataset": "owner/some.data"}):
        with pytest.raises(InvalidChoice, match="on a public server ids cannot be typed in"):
            _plan(**choice)
    with pytest.raises(InvalidChoice) as caught:
        _plan(model="bert")
    assert "hub id" not in str(caught.value)
