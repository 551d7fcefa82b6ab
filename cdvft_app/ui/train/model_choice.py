"""The model field: a search beside it, what is known of a model before its download, and its layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from cdvft_app import catalog
from cdvft_app.catalog.entries import ModelEntry, Recipe
from cdvft_app.catalog.hub import HubModelInfo, model_info
from cdvft_app.catalog.sources import to_fetch
from cdvft_app.settings import InvalidChoice
from cdvft_app.shapes.hub_models import MAX_SEARCH_LENGTH, FoundModel, describe_model, search_models
from cdvft_app.ui.shared.controls import html, text_field
from cdvft_app.ui.shared.listeners import LATEST
from cdvft_app.ui.shared.problem import problem, status
from cdvft_app.ui.train.recipes import recipe_key

MAX_LAYERS = 12
FLOAT32 = 4  # bytes
NOTHING = "No model of this kind has that in its name. Any hub id can be typed into the field above."
WHERE = {"offline": "here offline", "listed": "in the list", "known": "known", "hub": "hub"}
THINGS = {"text": "reads text", "image": "sees images", "generation": "writes text"}


def said(key: object, chosen: object) -> str:
    """A sentence or two on the chosen model; a problem where it cannot be taken, and nothing without one."""
    recipe = catalog.RECIPES.get(str(recipe_key(chosen)))
    if recipe is None or not isinstance(key, str) or not key:
        return ""
    try:
        if key in catalog.MODELS:
            return _known(catalog.get_model(key, recipe.kind))
        entry = describe_model(key, recipe.kind)
    except InvalidChoice as error:
        return problem(str(error))
    if entry.kind != recipe.kind:
        return problem(
            f"{entry.title} {THINGS[entry.kind]}, and this recipe is for a model that {THINGS[recipe.kind]}."
        )
    found = model_info(entry.location) if entry.source == "hub" else None
    if found and not found.safetensors:
        return problem(
            f"{entry.title} has no weights as safetensors, and other files of weights can carry code. Choose "
            "another, or ask its owner to convert it."
        )
    return _typed(entry, found)


def _known(entry: ModelEntry) -> str:
    there = to_fetch(entry)
    where = f"fetched at the first run: {there}" if there else "here already"
    return status(f"{_parameters(entry)}, {where}. Licence: {entry.licence}.")


def _typed(entry: ModelEntry, found: HubModelInfo | None) -> str:
    names = list(dict.fromkeys(layer.name for layer in entry.layers))
    layers = ", ".join(names[:MAX_LAYERS]) + (", …" if names[MAX_LAYERS:] else "")
    there = to_fetch(entry)
    if entry.source == "local":
        size = "read from its folder"
    elif there is None:
        size = "here already"
    elif found:
        size = f"{found.fetched_bytes / 1e6:,.0f} MB to download"
    else:
        size = f"about {(entry.parameters or 0) * FLOAT32 / 1e6:,.0f} MB to download, if kept as float32"
    stated = found.licence if found else None
    licence = f"Licence: {stated}, as its card says." if stated else f"Licence: {entry.licence}."
    return status(
        f"Supported by its configuration: it {THINGS[entry.kind]}. {_parameters(entry)}, {size}. It offers "
        f"{layers}; adapters go on {' and '.join(entry.default_targets)} unless you choose others. "
        f"{licence} No rates were measured for it: they are the recipe's."
    )


def _parameters(entry: ModelEntry) -> str:
    return f"{(entry.parameters or 0) / 1e6:,.1f} million parameters"


class ModelFinder:
    """The field, its button, and what was found; `connect` lets them answer."""

    def __init__(self) -> None:
        with gr.Row(elem_classes=["own-buttons"], equal_height=True):
            self.text = text_field(
                "Find a model",
                "By a part of its name; Enter searches. What is here comes first, then the hub.",
                max_length=MAX_SEARCH_LENGTH,
                elem_id="find-model",
            )
        self.search = gr.Button("Search", size="sm", elem_id="find-model-search")
        self.message = html(elem_id="find-model-message")
        self.found = gr.Radio([], label="Found models", visible=False, elem_id="found-models")


def find(text: object, learned: object) -> list[Any]:
    """Return the list's and the message's updates."""
    try:
        recipe = catalog.get_recipe(str(recipe_key(learned)))
    except InvalidChoice as error:
        return [gr.update(visible=False), status(str(error))]
    found, problem = search_models(str(text or ""), recipe.kind)
    message = " ".join(filter(None, ("" if found else NOTHING, problem)))
    choices = [(choice_label(one), one.key) for one in found]
    return [gr.update(choices=choices, value=None, visible=bool(found)), status(message)]


def choice_label(one: FoundModel) -> str:
    """MiniLM (6 layers) · 22.6 M · here offline"""
    size = f"{one.parameters / 1e6:,.1f} M" if one.parameters else None
    loads = f"{one.downloads:,} downloads" if one.downloads else None
    return " · ".join(filter(None, (one.title, size, loads, WHERE[one.where])))


def targets(model: str, recipe: Recipe) -> dict[str, Any]:
    """Return the layers of a model that can carry an adapter, with its usual ones chosen."""
    entry = catalog.get_model(model, recipe.kind)
    usual = recipe.targets if model == recipe.model else entry.default_targets
    names = list(dict.fromkeys([*usual, *(layer.name for layer in entry.layers)]))
    matched = {layer.name for target in usual for layer in entry.layers if layer.matches(target)}
    return {"choices": [name for name in names if name in usual or name not in matched], "value": list(usual)}


def connect(
    at: Mapping[str, Any],
    fold: gr.Accordion,
    line: gr.HTML,
    filled_for: gr.JSON,
    finder: ModelFinder,
    *,
    recount_after: Callable[[Any], Any],
) -> None:
    """Say what is known of the model in the field, and offer its layers once one is chosen or found.

    `recount_after` follows each event that fills the form.
    """

    def of_model(model: str, chosen: object, filled: object) -> Any:
        key = recipe_key(chosen)
        if filled == [key, model]:
            return gr.skip(), gr.skip()  # its field was left, which is an input, too
        try:
            recipe = catalog.get_recipe(str(key))
            if model not in catalog.MODELS:
                describe_model(model or "", recipe.kind)
            return gr.update(**targets(model or "", recipe)), [key, model]
        except InvalidChoice:
            return gr.skip(), gr.skip()  # `said` says what is wrong with it

    offer = of_model, [at["model"], at["recipe"], filled_for], [at["target_modules"], filled_for]
    recount_after(at["model"].input(*offer, **LATEST))
    search: dict[str, Any] = {**LATEST, "queue": True, "concurrency_limit": 4, "show_progress": "minimal"}
    listed = [finder.found, finder.message]
    gr.on([finder.search.click, finder.text.submit], find, [finder.text, at["recipe"]], listed, **search)
    chosen = finder.found.input(lambda key: key, finder.found, at["model"], **LATEST)
    recount_after(chosen.then(*offer, **LATEST))
    at["recipe"].input(lambda: [gr.update(visible=False), ""], None, listed, **LATEST)
    gr.on([fold.expand, at["model"].change], said, [at["model"], at["recipe"]], line, **LATEST)
