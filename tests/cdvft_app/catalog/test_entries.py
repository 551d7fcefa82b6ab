"""The tables agree with each other, and with the real architectures."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from cdvft_app import catalog
from cdvft_app.catalog.entries import KNOWN_MODELS, DatasetEntry, Expected, LinearGroup, Recipe
from cdvft_app.catalog.offline import WHEELS
from cdvft_app.methods import METHODS
from cdvft_app.settings import InvalidChoice, RunSettings
from cdvft_app.training.schedule import total_steps

ROOT = Path(__file__).parents[3]
COMMIT = re.compile(r"[0-9a-f]{40}")


@pytest.mark.parametrize("key", catalog.MODELS)
def test_layers_and_parameters_are_those_of_the_architecture(key: str) -> None:
    from torch import nn

    from cdvft_app.shapes.architectures import build

    entry = catalog.get_model(key)
    (known,) = (one for one in KNOWN_MODELS if one.entry and one.entry["key"] == key)
    model = build(known.id, entry.image_size).model
    found = Counter(
        (re.sub(r"^.*?\.\d+\.", "", name), layer.out_features, layer.in_features)
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and name != "lm_head"
    )
    assert found == {(group.name, group.d_out, group.d_in): group.count for group in entry.layers}
    modules = dict(model.named_modules())
    for group in entry.layers:
        alone = [modules[one.name] for one in group.layers]
        assert len(alone) == group.count
        assert {(one.out_features, one.in_features) for one in alone} == {(group.d_out, group.d_in)}
    assert entry.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert entry.hidden_size == (model.num_features if known.architecture else model.config.hidden_size)


@pytest.mark.parametrize(
    "entry", [*catalog.MODELS.values(), *catalog.DATASETS.values()], ids=lambda entry: entry.key
)
def test_revisions_are_commits_or_say_that_they_are_not(entry) -> None:
    if entry.source == "hub":
        assert COMMIT.fullmatch(entry.revision) or (
            entry.revision == "main" and "No commit is pinned" in entry.note
        )
    else:
        assert entry.revision is None
        there = (ROOT / "assets" / entry.location).is_dir() if entry.source == "assets" else None
        assert there or entry.source == "sklearn" or entry.location in WHEELS


@pytest.mark.parametrize("entry", catalog.DATASETS.values(), ids=lambda entry: entry.key)
def test_datasets_say_what_is_needed(entry) -> None:
    assert entry.metric == "pearson" or entry.kind != "text" or len(entry.labels) == 2
    assert (entry.metric == "pearson") <= (entry.labels == ())
    assert (entry.metric in ("exact_match", "chrf")) == (entry.kind == "generation")
    assert all(field in entry.instruction for field in entry.fields)
    assert len(entry.text_columns) in ((1, 2) if entry.kind == "text" else (1,))
    assert entry.files is None or "{split}" in entry.files
    assert entry.kind == "generation" or (entry.files is not None) == (entry.source == "hub")
    assert entry.examples > 0


@pytest.mark.parametrize("name", ["datasets", "recipes"])
def test_no_key_is_given_to_two_entries(name: str) -> None:
    file = ROOT / "cdvft_app" / "catalog" / f"{name}.json"
    assert len(json.loads(file.read_text())) == len(getattr(catalog, name.upper()))


def test_a_known_model_has_names_of_its_own() -> None:
    names = [name.casefold() for model in KNOWN_MODELS for name in {*model.names}]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


@pytest.mark.parametrize(
    ("kind", "entries", "change", "why"),
    [
        (DatasetEntry, catalog.DATASETS, {"label_colum": "x"}, "label_colum"),
        (DatasetEntry, catalog.DATASETS, {"metric": "f1"}, "metric"),
        (Recipe, catalog.RECIPES, {"expected": {"accuracy": 0.9}}, "accuracy"),
    ],
)
def test_a_misspelled_field_of_an_entry_is_refused(kind, entries, change: dict, why: str) -> None:
    good = dataclasses.asdict(next(iter(entries.values())))
    assert TypeAdapter(kind).validate_python(good) in entries.values()
    with pytest.raises(ValidationError, match=why):
        TypeAdapter(kind).validate_python({**good, **change})


@pytest.mark.parametrize("recipe", catalog.RECIPES.values(), ids=lambda recipe: recipe.key)
def test_recipes_resolve_for_every_method(recipe) -> None:
    model, dataset = catalog.get_model(recipe.model), catalog.get_dataset(recipe.dataset)
    assert recipe.kind == model.kind == dataset.kind
    assert recipe.offline == ("hub" not in (model.source, dataset.source))
    assert set(recipe.learning_rates) == set(METHODS)
    for method in METHODS:
        if method == "head" and recipe.kind == "generation":
            with pytest.raises(InvalidChoice, match="writes its answers without one"):
                catalog.resolve(RunSettings(method=method, recipe=recipe.key))
            continue
        plan = catalog.resolve(RunSettings(method=method, recipe=recipe.key))
        assert plan.settings.method.learning_rate == recipe.learning_rates[method]
        assert plan.settings.train_examples == recipe.train_examples <= dataset.examples
        assert plan.settings.target_modules == recipe.targets
        assert plan.trainable_parameters() >= 0


def test_the_offline_recipes_come_first() -> None:
    assert list(catalog.RECIPES)[:3] == ["sentiment", "mnist", "digits"]
    offline = {recipe.key for recipe in catalog.RECIPES.values() if recipe.offline}
    assert offline == {"sentiment", "mnist", "digits", "addresses", "sql"}


def test_glue_metrics() -> None:
    glue = [entry for entry in catalog.DATASETS.values() if entry.location == "nyu-mll/glue"]
    expected = dict.fromkeys(("sst2", "mrpc", "qnli", "rte"), "accuracy")
    assert {one.key: one.metric for one in glue} == {**expected, "cola": "matthews", "stsb": "pearson"}


@pytest.mark.parametrize(
    ("name", "target", "expected"),
    [
        ("attention.self.query", "query", True),
        ("attention.output.dense", "output.dense", True),
        ("attention.output.dense", "dense", True),
        ("attn.proj", "proj", True),
        ("attn.proj", "attn.proj", True),
        ("attn.proj", "oj", False),
        ("attn.qkv", "attn", False),
    ],
)
def test_targets_match_as_peft_matches_them(name: str, target: str, expected: bool) -> None:
    from peft.tuners.tuners_utils import check_target_module_exists

    class Config:
        target_modules = {target}  # noqa: RUF012
        exclude_modules = layers_to_transform = layers_pattern = None

    assert LinearGroup(name, 8, 8, 1).matches(target) == expected
    assert bool(check_target_module_exists(Config, f"encoder.layer.0.{name}")) == expected


def test_importing_the_catalogue_loads_no_torch() -> None:
    heavy = ("torch", "transformers", "datasets", "timm", "sklearn", "numpy", "huggingface_hub")
    imports = "import sys, cdvft_app.catalog, cdvft_app.catalog.offline, cdvft_app.catalog.hub"
    code = f"{imports}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("key", ["sentiment", "mnist", "digits", "addresses", "sql"])
def test_what_a_recipe_promises_is_what_was_recorded(key: str) -> None:
    recorded = json.loads((ROOT / "benchmarks/results/default_race.json").read_text())["summary"][key]
    promised, source = catalog.get_recipe(key).expected.metric, catalog.get_recipe(key).expected.source
    assert set(promised) == {"cdvft", "lora", "fourierft"}
    for method, value in promised.items():
        assert f"the mean of { {3: 'three', 5: 'five'}[recorded[method]['seeds']] } seeds" in source
        assert value == recorded[method]["mean"]


@pytest.mark.parametrize("key", ["addresses", "sql"])
def test_what_the_untrained_model_reaches_is_what_was_recorded(key: str) -> None:
    recorded = json.loads((ROOT / f"benchmarks/results/untrained_{key}.json").read_text())
    assert [*catalog.get_recipe(key).expected.untrained.values()] == [
        recorded[given]["exact_match"] for given in ("told", "shown")
    ]


def test_how_long_a_hub_recipe_takes_is_what_was_recorded() -> None:
    recorded = json.loads((ROOT / "benchmarks/results/hub_times.json").read_text())["recipes"]
    of_hub = {key: recipe for key, recipe in catalog.RECIPES.items() if not recipe.offline}
    unrun = {key: recipe for key, recipe in of_hub.items() if recipe.kind == "generation"}
    assert all(recipe.expected == Expected(source="not run here") for recipe in unrun.values())
    promised = {key: recipe for key, recipe in of_hub.items() if key not in unrun}
    assert set(recorded) == set(promised)
    for key, recipe in promised.items():
        plan = catalog.resolve(RunSettings(recipe=key, method="cdvft"))
        assert recorded[key]["steps"] == total_steps(plan.settings, recipe.train_examples)
        assert recipe.expected.seconds_cpu2 == recorded[key]["seconds"]
        assert recipe.expected.at_most == (recipe.kind == "text")


def test_large_models_come_with_what_lets_them_fit() -> None:
    for key, bits in (("alpaca_llama_8b", 4), ("metamath_llama_3b", None)):
        own = catalog.resolve(RunSettings(recipe=key, method="cdvft")).settings
        assert (own.bits, own.precision, own.gradient_checkpointing) == (bits, "bfloat16", True)
    chosen = RunSettings(recipe="alpaca_llama_8b", method="cdvft", bits=32, gradient_accumulation=1)
    own = catalog.resolve(chosen).settings
    assert (own.bits, own.gradient_accumulation) == (32, 1)
    assert catalog.resolve(RunSettings(recipe="alpaca_llama_8b", method="full")).settings.bits is None
    usual = catalog.resolve(RunSettings(recipe="addresses", method="cdvft")).settings
    assert (usual.bits, usual.precision) == (None, "auto")
    assert (usual.gradient_checkpointing, usual.gradient_accumulation) == (False, None)


# Models that are typed in: a folder of this machine, or a hub id, where a person's own machine is asked


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    return tmp_path


def test_a_folder_with_a_model_is_taken_where_it_lies(folder: Path) -> None:
    plan = catalog.resolve(RunSettings(method="cdvft", model=str(folder)))
    assert (plan.model.source, plan.model.location, plan.model.revision) == ("local", str(folder), None)
    assert plan.settings.model == str(folder)


@pytest.mark.parametrize("lacking", ["config.json", "model.safetensors"])
def test_a_folder_without_a_model_is_refused(folder: Path, lacking: str) -> None:
    (folder / lacking).unlink()
    with pytest.raises(InvalidChoice, match=r"nor a folder with a config\.json and weights as safetensors"):
        catalog.get_model(str(folder))


@pytest.mark.parametrize(
    "key",
    ["../etc/passwd", "owner/../x", "/absolute/path", "owner/a..b", "owner/na me", "a/b/c", "~", "./here"],
)
def test_no_other_path_is_one(key: str) -> None:
    with pytest.raises(InvalidChoice, match=r"is not a hub id|There is no model"):
        catalog.get_model(key)


def test_a_public_server_looks_into_no_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    (folder / "config.json").unlink()
    with pytest.raises(InvalidChoice, match="on a public server ids cannot be typed in"):
        catalog.get_model(str(folder))
