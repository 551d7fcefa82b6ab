"""A search for models beside the model field: what is found there can be chosen by a click or a key."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from cdvft_app import catalog
from cdvft_app.settings import InvalidChoice
from cdvft_app.shapes.hub_models import MAX_SEARCH_LENGTH, FoundModel, search_models
from cdvft_app.ui.train.recipes import recipe_key

NOTHING = "No model of this kind has that in its name. Any hub id can be typed into the field above."
WHERE = {"offline": "here offline", "listed": "in the list", "known": "known", "hub": "hub"}


class ModelFinder:
    """The field, its button, and what was found; model_choice.py connects them."""

    def __init__(self) -> None:
        with gr.Row(elem_classes=["own-buttons"], equal_height=True):
            self.text = gr.Textbox(
                label="Find a model",
                info="By a part of its name; Enter searches. What is here comes first, then the hub.",
                max_lines=1,
                max_length=MAX_SEARCH_LENGTH,
                elem_id="find-model",
                html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
            )
        self.search = gr.Button("Search", size="sm", elem_id="find-model-search")
        self.message = gr.HTML(elem_id="find-model-message", apply_default_css=False)
        self.found = gr.Radio([], label="Found models", visible=False, elem_id="found-models")


def find(text: object, learned: object) -> list[Any]:
    """The list's and the message's updates."""
    try:
        recipe = catalog.get_recipe(str(recipe_key(learned)))
    except InvalidChoice as error:
        return [gr.update(visible=False), _message(str(error))]
    found, problem = search_models(str(text or ""), recipe.kind)
    message = " ".join(filter(None, ("" if found else NOTHING, problem)))
    choices = [(choice_label(one), one.key) for one in found]
    return [gr.update(choices=choices, value=None, visible=bool(found)), _message(message)]


def choice_label(one: FoundModel) -> str:
    """MiniLM (6 layers) · 22.6 M · here offline"""
    size = f"{one.parameters / 1e6:,.1f} M" if one.parameters else None
    loads = f"{one.downloads:,} downloads" if one.downloads else None
    return " · ".join(filter(None, (one.title, size, loads, WHERE[one.where])))


def _message(sentence: str) -> str:
    return f'<p class="quiet" role="status">{escape(sentence)}</p>' if sentence else ""
