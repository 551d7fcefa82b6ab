"""The controls of a sweep as data: their names, words and starting values, and the request they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cdvft_app.methods import METHODS, InvalidChoice
from cdvft_app.methods.flat import FLAT
from cdvft_app.settings import RaceRequest, words
from cdvft_app.sweep import SweepRequest, numbers, parse_sweep
from cdvft_app.ui.shared.form import OWN, SIZES, number

LISTS = (*SIZES, "learning_rates", "seeds")
BUDGET = ("train_examples", "epochs", "evaluation_examples")
FIELDS = ("recipe", "methods", *LISTS, *BUDGET)
START: dict[str, Any] = {
    "recipe": "sentiment",
    "methods": ["cdvft"],
    "m": "2, 3, 4",
    "learning_rates": "0.3, 1, 3",
    "seeds": "0, 1, 2",
    "train_examples": "512",
    "epochs": "2",
    "evaluation_examples": "533",
}


def _hint(name: str) -> str:
    one, title = OWN[name], METHODS[FLAT[name][0]].title
    return f"{title}. Values with commas. Empty: {one.empty if one.default is None else one.default}."


_OF_RACE = words(RaceRequest)
# Label and hint of each control; names are those of SweepRequest and RaceRequest.
WORDS: dict[str, tuple[str, str | None]] = {
    "recipe": ("Recipe", "Model and data that all runs share."),
    "data": ("Data", "The recipe's, or your own, read as in your latest race on it."),
    "methods": ("Methods", "Each is crossed with what it uses."),
    **{name: (OWN[name].label, _hint(name)) for name in SIZES},
    **{name: (one.title, one.hint) for name, one in words(SweepRequest).items()},
    **{name: (_OF_RACE[name].title, "Empty: the recipe's.") for name in BUDGET},
}
LABELS = {name: label for name, (label, _) in WORDS.items()}
LABELS |= {f"base.{name}": LABELS[name] for name in BUDGET}
LABELS |= {"learning_rate": "Learning rate", "seed": LABELS["seeds"]}  # of one run


def request(values: Mapping[str, Any]) -> SweepRequest:
    """The `SweepRequest` of the controls' values, or `InvalidChoice`.

    Empty fields mean the recipe's; "data" is one's own, as a run needs it.
    """
    methods = values.get("methods") or []
    if not methods:
        raise InvalidChoice("Choose at least one method to vary.")
    base = {name: number(values[name]) for name in BUDGET if values.get(name) not in (None, "")}
    base |= {"data": values["data"]} if values.get("data") else {}
    base |= {"recipe": values.get("recipe"), "methods": [name for name in METHODS if name in methods]}
    used = [name for name in LISTS if name not in FLAT or FLAT[name][0] in methods]
    lists = {name: numbers(typed) for name in used if isinstance(typed := values.get(name), str)}
    return parse_sweep({"base": base, **lists})
