"""From what a person chose to what will run: defaults filled in, names looked up, combinations checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from cdvft import cost
from cdvft_app.catalog import entries, uploaded
from cdvft_app.catalog.entries import (
    DATASETS,
    MIN_VALIDATION,
    MODELS,
    ONE_HELD_OUT_IN,
    RECIPES,
    DatasetEntry,
    Kind,
    LinearGroup,
    ModelEntry,
    Recipe,
    hub_ids_allowed,
)
from cdvft_app.settings import InvalidChoice, RunSettings

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Plan:
    """All that a run will do, resolved from its settings.

    `settings` has no None left but those that mean "each layer's default", "no limit" or "of another kind".
    `target_shapes` are (name, d_out, d_in, count) of the layers that get an adapter; empty where the model
    is a hub id and its layers are unknown until it is loaded.
    """

    settings: RunSettings
    recipe: Recipe
    model: ModelEntry
    dataset: DatasetEntry
    target_shapes: tuple[tuple[str, int, int, int], ...]

    @property
    def title(self) -> str:
        """The title of its runs: the recipe's, or that of the uploaded data."""
        return self.dataset.title if self.settings.data else self.recipe.title

    @property
    def label_scale(self) -> tuple[float, float]:
        """Mean and deviation by which labels that are numbers are learned; (0, 1): as they are."""
        own = self.settings.data
        return (own.label_mean or 0.0, own.label_deviation or 1.0) if own else (0.0, 1.0)

    @property
    def chooses_step(self) -> bool:
        """Whether validation rows choose the step that is kept; a trial on validation rows has no others."""
        return self.settings.keep == "best" and self.settings.evaluate_on == "evaluation"

    @property
    def validation_examples(self) -> int:
        """The number of rows that choose the step that is kept, as far as known before reading; or 0."""
        settings = self.settings
        assert settings.train_examples and settings.evaluation_examples
        if not self.chooses_step:
            return 0
        wanted = entries.wanted_validation(settings.evaluation_examples)
        left = self.dataset.examples and self.dataset.examples - settings.train_examples
        found = wanted if left is None else min(wanted, left)
        return found if found >= MIN_VALIDATION else 0

    def trainable_parameters(self) -> int | None:
        """Return the number of parameters that the method trains, without the head's; None where unknown."""
        settings = self.settings
        if settings.method.key == "head":
            return 0
        if settings.method.key == "full":
            return self.model.parameters
        if not self.target_shapes:
            return None
        shapes = [cost.Shape(*shape) for shape in self.target_shapes]
        return settings.method.estimate(shapes, batch=1, sequence=1).trainable_parameters


def get_model(key: str, kind: Kind = "text") -> ModelEntry:
    """Return a model by its key, or as `entries.model_entry` knows it; InvalidChoice if it is neither."""
    if not isinstance(key, str) or (key not in MODELS and "/" not in key):
        fitting = {name: entry for name, entry in MODELS.items() if entry.kind == kind}
        return _look_up("model", key, fitting, entries.HUB_ID_EXAMPLES[kind])
    if key in MODELS:
        return MODELS[key]
    return entries.model_entry(key, kind)


def get_dataset(key: str, kind: Kind = "text") -> DatasetEntry:
    """Return a dataset by its key, or by a hub id, of which nothing else is known; else InvalidChoice."""
    if not isinstance(key, str) or "/" not in key:
        return _look_up("dataset", key, DATASETS)
    return entries.dataset_entry(key, kind)


def get_recipe(key: str) -> Recipe:
    """Return a recipe by its key; InvalidChoice if there is none."""
    return _look_up("recipe", key, RECIPES)


def fits(method: str, kind: Kind) -> bool:
    """Return whether a method can train models of that kind: one that writes has no classifier head."""
    return method != "head" or kind != "generation"


def resolve(settings: RunSettings) -> Plan:
    """Return the plan of a run; InvalidChoice says in a sentence what cannot be, and what can.

    Numbers of examples are cut to what the dataset has.
    """
    recipe = get_recipe(settings.recipe)
    model = get_model(settings.model or recipe.model, recipe.kind)
    dataset = _dataset(settings, recipe)
    if model.kind != dataset.kind:
        raise InvalidChoice(
            f"{model.title} takes {_inputs(model.kind)}, and {dataset.title} has {_inputs(dataset.kind)}; "
            "choose both of one kind."
        )
    if model.kind != recipe.kind:
        fitting = ", ".join(key for key, other in RECIPES.items() if other.kind == model.kind)
        raise InvalidChoice(
            f"{recipe.title} is for {_inputs(recipe.kind)}, but {model.title} and {dataset.title} are for "
            f"{_inputs(model.kind)}; choose one of {fitting}."
        )
    own_model = model.key == recipe.model
    targets = settings.target_modules or (recipe.targets if own_model else model.default_targets)
    groups = _groups(model, targets)
    if "rank_pattern" in settings.method.sizes():  # which may name a layer by its block's number
        groups = tuple(layer for group in groups for layer in group.layers)
    train_examples = settings.train_examples or recipe.train_examples
    evaluation_examples = settings.evaluation_examples or recipe.evaluation_examples
    usual: dict[str, float | int] = {}
    keep = settings.keep
    if own := settings.data:
        usual = uploaded.starting_values(own, recipe)
        spared = uploaded.spared(own, min(evaluation_examples, own.evaluation_rows))
        keep = keep if spared else "last"
        if keep == "best" and settings.evaluate_on == "evaluation":
            train_examples = min(train_examples, own.train_rows - spared)
    filled: dict[str, object] = {
        "model": model.key,
        "dataset": None if settings.data else dataset.key,
        "target_modules": targets,
        "epochs": settings.epochs or usual.get("epochs") or recipe.epochs,
        "batch_size": settings.batch_size or recipe.batch_size,
        "train_examples": min(train_examples, dataset.examples or train_examples),
        "evaluation_examples": min(evaluation_examples, _held_out(dataset) or evaluation_examples),
        "keep": keep,
        "max_length": None,
        "image_size": None,
        "own_prompt": (settings.own_prompt or "").strip() or None if model.kind == "generation" else None,
    }
    if model.kind != "image":
        length = settings.max_length or usual.get("max_length") or recipe.max_length or 128
        filled["max_length"] = _max_length(model, int(length))
    else:
        default_size = recipe.image_size if own_model else model.image_size
        filled["image_size"] = _image_size(model, settings.image_size or default_size or 224)
    if not fits(settings.method.key, model.kind):
        raise InvalidChoice(
            f"{settings.method.title} trains a classifier head, and {model.title} writes its answers without "
            "one. Choose another method."
        )
    settings = settings.model_copy(update=_memory_settings(settings, recipe))
    _check_memory_settings(settings, model, settings.batch_size or recipe.batch_size)
    settings.method.require_fitting(groups)
    settings.method.require_useful(groups)
    rate = settings.method.learning_rate or recipe.learning_rate(settings.method)
    filled["method"] = settings.method.with_layer_defaults(groups).model_copy(update={"learning_rate": rate})
    shapes = tuple((group.name, group.d_out, group.d_in, group.count) for group in groups)
    return Plan(settings.model_copy(update=filled), recipe, model, dataset, shapes)


def _dataset(settings: RunSettings, recipe: Recipe) -> DatasetEntry:
    if settings.data is None:
        found = get_dataset(settings.dataset or recipe.dataset, recipe.kind)
        return entries.with_dataset_fields(found, settings)
    if settings.dataset is not None:
        raise InvalidChoice(f"dataset: got {settings.dataset!r} beside data of your own; give one of them.")
    return uploaded.entry(settings.data)


def _look_up(what: str, key: str, table: Mapping[str, Entry], hub_id: str = "owner/name") -> Entry:
    if not isinstance(key, str) or key not in table:
        more = f" or a hub id such as {hub_id}" if what != "recipe" and hub_ids_allowed() else ""
        raise InvalidChoice(f"There is no {what} {str(key)[:80]!r}. Choose one of {', '.join(table)}{more}.")
    return table[key]


def _inputs(kind: Kind) -> str:
    return {"text": "text", "image": "images", "generation": "prompts with answers"}[kind]


def _held_out(dataset: DatasetEntry) -> int | None:
    """Return how many rows are held out to evaluate; None where they are a split of their own, or unknown."""
    if dataset.uploaded:
        return dataset.uploaded.evaluation_rows
    if dataset.evaluation_split or dataset.examples is None:
        return None
    return dataset.examples // (ONE_HELD_OUT_IN - 1)


def _groups(model: ModelEntry, targets: tuple[str, ...]) -> tuple[LinearGroup, ...]:
    """Return the layers that the targets select, each once; empty where the model's layers are unknown."""
    if not model.layers:
        return ()
    for target in targets:
        if not model.group(target):
            names = ", ".join(layer.name for layer in model.layers)
            raise InvalidChoice(f"{model.title} has no linear layer {target!r}. It has {names}.")
    return tuple(layer for layer in model.layers if any(layer.matches(target) for target in targets))


def _memory_settings(settings: RunSettings, recipe: Recipe) -> dict[str, object]:
    """Settings that save memory: as chosen, else the recipe's."""
    whole = settings.method.key == "full"  # whose weights cannot be quantized
    return {
        "bits": settings.bits or (None if whole else recipe.bits),
        "precision": recipe.precision if settings.precision == "auto" else settings.precision,
        "gradient_checkpointing": settings.gradient_checkpointing or recipe.gradient_checkpointing,
        "gradient_accumulation": settings.gradient_accumulation or recipe.gradient_accumulation,
    }


def _check_memory_settings(settings: RunSettings, model: ModelEntry, batch_size: int) -> None:
    """Raise InvalidChoice for ways to save memory that do not go with what is trained."""
    for name in ("bits", "gradient_checkpointing"):
        if getattr(settings, name) and model.kind != "generation":
            raise InvalidChoice(f"{name} is for models that write; {model.title} needs none. Leave it out.")
    if settings.bits in (4, 8) and settings.method.key == "full":
        raise InvalidChoice(
            f"bits: got {settings.bits}; {settings.method.title} trains every weight, and quantized ones "
            "cannot be trained. Leave it out, or choose another method."
        )
    if (settings.gradient_accumulation or 1) > batch_size:
        raise InvalidChoice(
            f"gradient_accumulation: got {settings.gradient_accumulation}; a batch of {batch_size} has no "
            "more parts than examples."
        )


def _max_length(model: ModelEntry, length: int) -> int:
    if model.max_length and length > model.max_length:
        raise InvalidChoice(
            f"max_length: got {length}; {model.title} takes at most {model.max_length} tokens. Choose fewer."
        )
    return length


def _image_size(model: ModelEntry, size: int) -> int:
    patch = model.patch_size
    if patch and size % patch:
        below = max(size // patch, 1) * patch
        raise InvalidChoice(
            f"image_size: got {size}; {model.title} takes multiples of {patch}, such as {below} or "
            f"{below + patch}."
        )
    return size
