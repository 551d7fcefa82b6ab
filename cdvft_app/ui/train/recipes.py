"""The recipes as cards, with what to expect of each and whether the hub can be reached."""

from __future__ import annotations

from typing import Any

import gradio as gr

from cdvft_app import catalog
from cdvft_app.catalog.entries import Recipe
from cdvft_app.catalog.hub import hub_status
from cdvft_app.format import counted, duration
from cdvft_app.methods import METHODS
from cdvft_app.metrics import get_metric
from cdvft_app.payloads.train import HubReach, RecipeCard, WhatIsLearned
from cdvft_app.ui.shared.component import component

NOT_MEASURED = (
    "The scores of these, and times on a GPU, have not been measured yet. Times on a CPU are those of steps "
    "on random weights, which take as long."
)


def recipe_key(chosen: object) -> str | None:
    """Return the recipe's key in what the cards say is learned; what is no key is text, which is refused."""
    key = chosen.get("recipe") if isinstance(chosen, dict) else chosen
    return key if key is None or isinstance(key, str) else str(key)


def card(recipe: Recipe) -> RecipeCard:
    """Return the texts of one card."""
    model, data = catalog.get_model(recipe.model), catalog.get_dataset(recipe.dataset)
    return {
        "key": recipe.key,
        "title": recipe.title,
        "offline": recipe.offline,
        # The titles of those from the hub say it already.
        "about": f"{model.title} on {data.title}" if recipe.offline else "",
        "expect": _expect(recipe),
        "paper": recipe.expected.paper,
        "expect_source": _source(recipe),
    }


def _expect(recipe: Recipe) -> str:
    expected = recipe.expected
    parts = []
    if expected.source == "not run here":
        parts.append("not run here")
    if "Gated" in (note := catalog.get_model(recipe.model).note):
        parts.append(note.partition(". ")[0])
    metric = get_metric(catalog.get_dataset(recipe.dataset).metric)
    for method, value in expected.metric.items():
        if method == "cdvft":
            shown = metric.format(value)
            parts.append(f"{METHODS[method].title} reaches {shown}")
    return " · ".join(parts)


def _source(recipe: Recipe) -> str:
    """Return the source of the numbers, and the seconds that a run took there, not here."""
    expected = recipe.expected
    about = "at most about" if expected.at_most else "about"
    parts = [
        f"{recipe.train_examples:,} examples, {counted(recipe.epochs, 'epoch')}.",
        f"Source: {expected.source}.",
    ]
    if expected.seconds_cpu2:
        parts.append(f"A run took {about} {duration(expected.seconds_cpu2)} on 2 CPU cores.")
    return " ".join(parts)


def recipe_cards(chosen: str, **arguments: Any) -> gr.HTML:
    """Radio cards; the value says which recipe is chosen, and whether it is for data of one's own.

    Sends `hub_changed` when the hub turns out to be out of reach, or to answer again.
    """

    def hub(_: object) -> HubReach:
        status = hub_status()
        return {"reachable": status.reachable, "text": status.sentence}

    learned: WhatIsLearned = {"recipe": chosen, "own": None}
    return component(
        "train/recipes.js",
        learned,
        events=("hub_changed",),
        slow_functions={"hub": hub},
        unmeasured=NOT_MEASURED,
        recipes=[card(recipe) for recipe in catalog.RECIPES.values()],
        **arguments,
    )
