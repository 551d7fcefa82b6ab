"""The settings side of the Train tab as data: which controls there are, and what their values ask for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from cdvft_app import catalog
from cdvft_app.figures.palette import METHOD_STYLES
from cdvft_app.settings import METHODS, InvalidChoice, RaceRequest, RunSettings, parse_race, relabelled
from cdvft_app.ui.shared.texts import SETTINGS, counted

RATE = "learning_rate."  # of a method: "learning_rate.lora"
RATES = tuple(RATE + method for method in METHODS)
NUMBERS = (
    "m", "block_size", "alpha", "epochs", "max_steps", "batch_size", "seed",
    "lora_r", "fourierft_n", "fourierft_scaling", "c3a_block_size",
    "train_examples", "evaluation_examples", "max_length", "image_size",
    "warmup_ratio", "weight_decay", "checkpoint_every",
)  # fmt: skip
FIELDS = (
    "recipe", "model", "dataset", "methods", "target_modules", "init_weights", "schedule", *NUMBERS, *RATES,
)  # fmt: skip
# Filled in where the recipe says nothing; an empty field means the recipe's own value.
START: dict[str, Any] = {"recipe": "sentiment", "methods": ["cdvft", "lora", "fourierft"], "m": 2, "alpha": 1,
                         "init_weights": "zero_output", "schedule": "linear", "seed": 0}  # fmt: skip
LABELS = {name: label for name, (label, _) in SETTINGS.items()} | {
    f"learning_rates.{method}": f"Learning rate of {style.label}" for method, style in METHOD_STYLES.items()
}
# What a list of keys follows, as the API and the command line take them.
_KEYS = re.compile(r"(?<=hoose one of )[\w, ]+?(?= or a hub id|\.)")
# A model, data and layers that are left to the recipe.
OF_ANOTHER: dict[str, Any] = {"model": None, "dataset": None, "target_modules": []}
OF_RECIPE = ("epochs", "batch_size", "train_examples", "evaluation_examples", "max_length", "image_size")


def race(values: Mapping[str, Any]) -> RaceRequest:
    """What the controls ask for, or `InvalidChoice`. Empty fields are left to the recipe."""
    given = {name: number(value) if name in (*NUMBERS, *RATES) else value for name, value in values.items()}
    asked = {name: value for name, value in given.items() if name in FIELDS and value not in (None, "", [])}
    if not asked.get("methods"):
        raise InvalidChoice("Choose at least one method to race.")
    rates = {name.removeprefix(RATE): asked.pop(name) for name in RATES if name in asked}
    asked["learning_rates"] = {name: rate for name, rate in rates.items() if name in asked["methods"]}
    asked["methods"] = sorted(
        asked["methods"], key=lambda name: METHODS.index(name) if name in METHODS else 99
    )
    return parse_race(asked)


def applied(values: Mapping[str, Any], filled_for: object) -> dict[str, Any]:
    """The values as they will be once a choice is answered: what it brings is left to recipe and model.

    `filled_for` are the recipe and the model that the fields were last filled for, as the browser tells them.
    """
    recipe, model = filled_for if isinstance(filled_for, list) and len(filled_for) == 2 else (None, None)
    if values.get("recipe") != recipe:
        return {**values, **OF_ANOTHER}
    if values.get("model") != model:
        return {**values, "target_modules": []}
    return {**values}


def in_words(sentences: str, labels: Mapping[str, str] = LABELS) -> str:
    """A refusal in the page's words: fields by their labels, models, data and recipes by their titles."""

    def titles(listed: re.Match[str]) -> str:
        keys = listed[0].split(", ")
        tables: tuple[Mapping[str, Any], ...] = (catalog.recipes(), catalog.models(), catalog.datasets())
        known = next((table for table in tables if set(keys) <= set(table)), {})
        return "; ".join(known[key].title for key in keys) if known else listed[0]

    named = relabelled(sentences, lambda field: labels.get(field) or labels.get(field.split(".")[0]))
    return _KEYS.sub(titles, named)


def number(typed: Any) -> Any:
    """The number that was typed, 1e3 being a whole one, or the text if it is none: the check quotes it."""
    if not isinstance(typed, str):
        return typed
    for kind in (int, float):
        try:
            found = kind(typed)
        except ValueError:
            continue
        return int(found) if isinstance(found, float) and found.is_integer() else found
    return typed.strip()


def text(value: object) -> str:
    """A number as one would type it; nothing for None."""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def from_runs(runs: Iterable[RunSettings]) -> dict[str, Any]:
    """The controls' values that ask for these runs again: their settings, one learning rate a method."""
    runs = list(runs)
    values: dict[str, Any] = {name: getattr(runs[0], name, None) for name in FIELDS}
    values["methods"] = [run.method for run in runs]
    values["target_modules"] = list(runs[0].target_modules or [])
    values |= {RATE + run.method: run.learning_rate for run in runs}
    return values


def remembered(kept: object) -> dict[str, Any]:
    """A form that the browser kept, as far as it still fits; it may be anybody's or an older version's.

    A model, data or layers that cannot be run together are replaced by the recipe's own.
    """
    kept = kept if isinstance(kept, dict) else {}
    values: dict[str, Any] = {name: kept.get(name, START.get(name)) for name in FIELDS}
    if not isinstance(values["recipe"], str) or values["recipe"] not in catalog.recipes():
        values["recipe"] = next(iter(catalog.recipes()))
    for name in ("methods", "target_modules"):
        given = values[name] if isinstance(values[name], list) else []
        values[name] = [item for item in given if isinstance(item, str)]
    values["methods"] = [name for name in values["methods"] if name in METHODS]
    for name in (*NUMBERS, *RATES):
        values[name] = text(values[name])[:20]
    for name in ("model", "dataset", "init_weights", "schedule"):
        values[name] = values[name] if isinstance(values[name], str) else START.get(name)
    return values if _go_together(values) else values | OF_ANOTHER


def _go_together(values: Mapping[str, Any]) -> bool:
    """Whether recipe, model, data and layers can be run with each other, whatever the numbers are."""
    chosen = {name: values[name] for name in ("recipe", *OF_ANOTHER)}
    try:
        catalog.resolve(race(chosen | {"methods": ["head"]}).runs()[0])
    except InvalidChoice:
        return False
    return True


def stands_for(name: str) -> str:
    """What an empty field means, where no recipe says otherwise."""
    value = RaceRequest.model_fields[name].default
    if value is None:
        return "automatic" if "block" in name else "no limit"
    return f"{value:g}"


def label(settings: RunSettings) -> str:
    """A run's name in tables: the method with what tells it from its like."""
    name = METHOD_STYLES[settings.method].label
    extra = {
        "cdvft": f" m\u00a0=\u00a0{settings.m}" if settings.m != 2 else "",
        "lora": f" r\u00a0=\u00a0{settings.lora_r}",
        "fourierft": f" n\u00a0=\u00a0{settings.fourierft_n:,}",
    }
    return name + extra.get(settings.method, "")


def summary(settings: RunSettings) -> str:
    """A race's settings in half a line; what is its recipe's own is left out."""
    recipe = catalog.recipes().get(settings.recipe)
    parts = []
    if settings.model and recipe and settings.model != recipe.model:
        parts.append(_title(settings.model, catalog.models()))
    if settings.dataset and recipe and settings.dataset != recipe.dataset:
        parts.append(_title(settings.dataset, catalog.datasets()))
    if settings.m != 2:
        parts.append(f"m {settings.m}")
    if settings.block_size:
        parts.append(f"p {settings.block_size}")
    if settings.alpha != 1:
        parts.append(f"α {settings.alpha:g}")
    if settings.max_steps:
        parts.append(counted(settings.max_steps, "step"))
    elif settings.epochs:
        parts.append(counted(settings.epochs, "epoch"))
    if settings.train_examples:
        parts.append(f"{settings.train_examples:,} examples")
    return " · ".join([*parts, f"seed {settings.seed}"])


def _title(key: str, known: Mapping[str, Any]) -> str:
    """That of the catalogue, or the hub id itself."""
    return known[key].title if key in known else key
