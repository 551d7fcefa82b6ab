"""The model field: what is known of a model before it is downloaded, and the layers it offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import gradio as gr

from cdvft_app import catalog
from cdvft_app.catalog.entries import ModelEntry
from cdvft_app.catalog.hub import HubModelInfo, model_info
from cdvft_app.catalog.sources import to_fetch
from cdvft_app.settings import InvalidChoice
from cdvft_app.shapes.hub_models import describe_model
from cdvft_app.ui.shared.problem import problem
from cdvft_app.ui.train.controls import QUIET, targets
from cdvft_app.ui.train.model_finder import ModelFinder, find
from cdvft_app.ui.train.recipes import recipe_key

MAX_LAYERS = 12
FLOAT32 = 4  # bytes
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
    return _quiet(f"{_parameters(entry)}, {where}. Licence: {entry.licence}.")


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
    return _quiet(
        f"Supported by its configuration: it {THINGS[entry.kind]}. {_parameters(entry)}, {size}. It offers "
        f"{layers}; adapters go on {' and '.join(entry.default_targets)} unless you choose others. "
        f"{licence} No rates were measured for it: they are the recipe's."
    )


def _parameters(entry: ModelEntry) -> str:
    return f"{(entry.parameters or 0) / 1e6:,.1f} million parameters"


def _quiet(sentence: str) -> str:
    return f'<p class="quiet" role="status">{escape(sentence)}</p>'


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
    recount_after(at["model"].input(*offer, **QUIET))
    search: dict[str, Any] = {**QUIET, "queue": True, "concurrency_limit": 4, "show_progress": "minimal"}
    listed = [finder.found, finder.message]
    gr.on([finder.search.click, finder.text.submit], find, [finder.text, at["recipe"]], listed, **search)
    chosen = finder.found.input(lambda key: key, finder.found, at["model"], **QUIET)
    recount_after(chosen.then(*offer, **QUIET))
    at["recipe"].input(lambda: [gr.update(visible=False), ""], None, listed, **QUIET)
    gr.on([fold.expand, at["model"].change], said, [at["model"], at["recipe"]], line, **QUIET)
