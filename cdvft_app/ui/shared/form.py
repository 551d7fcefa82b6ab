"""The settings side of the Train tab as data: which controls there are, and what their values ask for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from cdvft_app import catalog
from cdvft_app.catalog.entries import HUB_DATASET_FIELDS
from cdvft_app.format import counted
from cdvft_app.methods import METHODS, ORDER, InvalidChoice
from cdvft_app.methods.flat import FLAT
from cdvft_app.settings import (
    MAX_PROMPT,
    USUAL_RACE,
    RaceRequest,
    RunSettings,
    form_fields,
    parse_race,
    relabelled,
    typed_number,
)
from cdvft_app.ui.shared.problem import without_paths

MAX_TYPED = 120  # characters in a field
RATE = "learning_rate."  # of a method: "learning_rate.lora"
RATES = tuple(RATE + method for method in METHODS)
METHOD_SETTINGS = {name: METHODS[key].settings()[own] for name, (key, own) in FLAT.items()}
"""The methods' settings by the names of their controls, which are flat ones."""
SIZES = tuple(name for name, one in METHOD_SETTINGS.items() if one.size)
OF_RACE = form_fields(RaceRequest)
"""The settings that all methods of a race share, with the titles and hints of their fields."""
NUMBERS = (
    *(name for name, one in METHOD_SETTINGS.items() if not one.choices),
    *(name for name, one in OF_RACE.items() if one.kind in (int, float)),
)
SWITCHES = tuple(name for name, one in OF_RACE.items() if one.kind is bool)
TYPED = ("own_prompt",)
HUB = HUB_DATASET_FIELDS  # beside a dataset that is named by its hub id
CHOICES = tuple(name for name, one in METHOD_SETTINGS.items() if one.choices)
LISTS = tuple(name for name, one in OF_RACE.items() if one.kind is str and one.choices)
FIELDS = (
    "recipe", "model", "dataset", "data", "methods", "target_modules", *CHOICES, *LISTS, *NUMBERS, *RATES,
    *SWITCHES, *TYPED, *HUB,
)  # fmt: skip
LISTED = (*(name for name in NUMBERS if name in METHOD_SETTINGS), *RATES)
"""The fields in which several values, with commas between them, race a method several times."""
# Filled in where the recipe says nothing; an empty field means the recipe's own value.
START: dict[str, Any] = {"recipe": "sentiment", "methods": list(USUAL_RACE), "seed": 0}
START |= {name: RaceRequest.model_fields[name].default for name in (*SWITCHES, *LISTS)}
START |= {
    name: one.default
    for name, one in METHOD_SETTINGS.items()
    if one.default and (one.choices or FLAT[name][0] == "cdvft")
}
UNLEARNABLE = "problem"  # in place of data of one's own: why nothing can be learned from it
AUTOMATIC = "automatic"  # in a list, what an empty field stands for
LABELS = {
    **{name: one.title for name, one in OF_RACE.items()},
    **{name: METHODS[FLAT[name][0]].label_of(one) for name, one in METHOD_SETTINGS.items()},
    **{f"learning_rates.{key}": f"Learning rate of {method.title}" for key, method in METHODS.items()},
}
# What a list of keys follows, as the API and the command line take them.
_KEYS = re.compile(r"(?<=hoose one of )[\w, ]+?(?= or a hub id|\.)")
# A model, data, one's own among them, and layers that are left to the recipe.
OF_ANOTHER: dict[str, Any] = {"model": None, "dataset": None, "data": None, "target_modules": []}
OF_ANOTHER |= dict.fromkeys(HUB, "")
OF_RECIPE = ("epochs", "batch_size", "train_examples", "evaluation_examples", "max_length", "image_size")


def left_out(values: Mapping[str, Any]) -> list[str]:
    """Return those of the chosen methods that cannot train the recipe's model; none where no other can."""
    recipe = catalog.RECIPES.get(str(values.get("recipe")))
    chosen = [key for key in values.get("methods") or () if key in METHODS]
    unfit = [key for key in chosen if recipe and not catalog.fits(key, recipe.kind)]
    return unfit if len(unfit) < len(chosen) else []


def race(values: Mapping[str, Any]) -> RaceRequest:
    """Return the race that the controls ask for, or `InvalidChoice`. Empty fields are the recipe's."""
    empty: tuple[Any, ...] = (None, "", [], {})
    filled = {name: value for name, value in values.items() if name in FIELDS and value not in empty}
    if "data" in filled:
        filled.pop("dataset", None)
    if "/" not in str(filled.get("dataset", "")):
        filled = {name: value for name, value in filled.items() if name not in HUB}
    if isinstance(own_data := filled.get("data"), dict) and UNLEARNABLE in own_data:
        raise InvalidChoice(str(own_data[UNLEARNABLE]))
    unfit = left_out(values)
    chosen = [key for key in filled.pop("methods", ()) if key not in unfit]
    if not chosen:
        raise InvalidChoice("Choose at least one method to race.")
    own = {name: filled.pop(name) for name in (*METHOD_SETTINGS, *RATES) if name in filled}
    filled |= {name: typed_number(filled[name]) for name in NUMBERS if name in filled}
    methods = sorted(chosen, key=lambda key: ORDER.index(key) if key in ORDER else len(ORDER))
    return parse_race(filled | {"methods": [one for key in methods for one in _competitors(key, own)]})


def _competitors(key: str, typed: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a method as often as its longest list has values; the n-th takes the n-th value of each."""
    names = {flat: own for flat, (user, own) in FLAT.items() if user == key} | {RATE + key: "learning_rate"}
    lists = {own: _listed(typed[flat]) for flat, own in names.items() if flat in typed}
    many = max(map(len, lists.values()), default=1)
    for own, values in lists.items():
        if len(values) not in (1, many):
            title = METHODS[key].title
            raise InvalidChoice(
                f"{title}: one of its fields has {many} values and {own} has {len(values)}; "
                "give each one value, or as many."
            )
    found = [
        {"method": key, **{own: values[place % len(values)] for own, values in lists.items()}}
        for place in range(many)
    ]
    if any(found.count(one) > 1 for one in found):
        listed = next(flat for flat, own in names.items() if len(lists.get(own, ())) > 1)
        raise InvalidChoice(
            f"{listed.replace(RATE, 'learning_rates.')}: got {typed[listed]}; that races the same twice. "
            "Give each entry a value of its own, or one value alone."
        )
    return found


def _listed(typed: Any) -> list[Any]:
    parts = typed.strip(" ,").split(",") if isinstance(typed, str) else [typed]
    return [None if part == AUTOMATIC else part for part in map(typed_number, parts)]


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


def with_titles(sentences: str, labels: Mapping[str, str] = LABELS) -> str:
    """Return a refusal with labels for fields, and with titles for keys of models, data and recipes.

    Recipes from the hub, which the page folds, are counted.
    """

    def titles(listed: re.Match[str]) -> str:
        keys = listed[0].split(", ")
        tables: tuple[Mapping[str, Any], ...] = (catalog.RECIPES, catalog.MODELS, catalog.DATASETS)
        known = next((table for table in tables if set(keys) <= set(table)), {})
        shown = [known[key].title for key in keys if known and getattr(known[key], "offline", True)]
        folded = [f"one of {len(keys) - len(shown)} from the hub"] if len(shown) < len(keys) else []
        return "; ".join(shown + folded) if known else listed[0]

    named = relabelled(sentences, lambda field: labels.get(field) or labels.get(field.split(".")[0]))
    return _KEYS.sub(titles, without_paths(named))


def text(value: object) -> str:
    """Return a number as one would type it; nothing for None."""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def from_runs(runs: Iterable[RunSettings]) -> dict[str, Any]:
    """The controls' values that ask for these runs again: their settings, one learning rate a method."""
    runs = list(runs)
    values: dict[str, Any] = {name: getattr(runs[0], name, None) for name in FIELDS}
    methods = [run.method for run in runs]
    values["methods"] = list(dict.fromkeys(method.key for method in methods))
    values["target_modules"] = list(runs[0].target_modules or [])
    values["data"] = runs[0].data.model_dump(mode="json") if runs[0].data else None
    for name, (key, own) in FLAT.items():
        values[name] = _joined([getattr(method, own) for method in methods if method.key == key])
    for key in METHODS:
        values[RATE + key] = _joined([method.learning_rate for method in methods if method.key == key])
    return values


def _joined(found: list[Any]) -> Any:
    """Return one value where all are alike, else a list as one would type it."""
    if not found or found.count(found[0]) == len(found):
        return found[0] if found else None
    return ", ".join(AUTOMATIC if value is None else text(value) for value in found)


def remembered(kept: object) -> dict[str, Any]:
    """Return the values of a form that a browser kept, as far as they still fit; they are untrusted.

    A model, data or layers that cannot be run together are replaced by the recipe's own.
    """
    kept = kept if isinstance(kept, dict) else {}
    values: dict[str, Any] = {name: kept.get(name, START.get(name)) for name in FIELDS}
    if not isinstance(values["recipe"], str) or values["recipe"] not in catalog.RECIPES:
        values["recipe"] = next(iter(catalog.RECIPES))
    for name in ("methods", "target_modules"):
        given = values[name] if isinstance(values[name], list) else []
        values[name] = [item for item in given if isinstance(item, str)]
    values["methods"] = [name for name in values["methods"] if name in METHODS]
    for name in (*NUMBERS, *RATES):
        values[name] = text(values[name])[:MAX_TYPED]
    values["data"] = values["data"] if isinstance(values["data"], dict) else None
    for name in ("model", "dataset", *CHOICES, *LISTS):
        values[name] = values[name] if isinstance(values[name], str) else START.get(name)
    for name in SWITCHES:
        values[name] = values[name] is True
    for name in (*TYPED, *HUB):
        values[name] = text(values[name])[:MAX_PROMPT]
    return values if _is_runnable(values) else values | OF_ANOTHER


def _is_runnable(values: Mapping[str, Any]) -> bool:
    """Return whether recipe, model, data and layers can be run with each other, whatever the numbers are."""
    chosen = {name: values[name] for name in ("recipe", *OF_ANOTHER)}
    try:
        catalog.resolve(race(chosen | {"methods": ["lora"]}).runs()[0])
    except InvalidChoice:
        return False
    return True


def stands_for(name: str) -> str:
    """Return the value that an empty field stands for, where no recipe says otherwise."""
    value = (
        METHOD_SETTINGS[name].default if name in METHOD_SETTINGS else RaceRequest.model_fields[name].default
    )
    if value is None:
        return "no limit" if name == "max_steps" else AUTOMATIC
    return f"{value:g}"


def summary(settings: RunSettings) -> str:
    """Return a race's settings in half a line, without those of its recipe."""
    recipe = catalog.RECIPES.get(settings.recipe)
    parts = []
    if settings.model and recipe and settings.model != recipe.model:
        parts.append(_title(settings.model, catalog.MODELS))
    if settings.dataset and recipe and settings.dataset != recipe.dataset:
        parts.append(_title(settings.dataset, catalog.DATASETS))
    parts += settings.method.changed()
    if settings.max_steps:
        parts.append(counted(settings.max_steps, "step"))
    elif settings.epochs:
        parts.append(counted(settings.epochs, "epoch"))
    if settings.train_examples:
        out_of = "out of " if settings.max_steps else ""  # which need not see them all
        parts.append(f"{out_of}{settings.train_examples:,} training examples")
    return " · ".join([*parts, f"seed {settings.seed}"])


def _title(key: str, known: Mapping[str, Any]) -> str:
    """Return the title in the catalogue, or the hub id itself."""
    return known[key].title if key in known else key
