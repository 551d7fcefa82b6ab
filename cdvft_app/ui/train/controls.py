"""The Train tab's form as Gradio components; ui/shared/form.py says what their values mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import gradio as gr

from cdvft_app import catalog
from cdvft_app.catalog.entries import Recipe
from cdvft_app.methods import METHODS
from cdvft_app.methods.flat import FLAT
from cdvft_app.settings import MAX_PROMPT, Kind, typed_number
from cdvft_app.ui.shared.controls import html, method_chips, text_field
from cdvft_app.ui.shared.form import (
    CHOICES,
    HUB,
    LABELS,
    LISTED,
    LISTS,
    MAX_TYPED,
    METHOD_SETTINGS,
    OF_RACE,
    OF_RECIPE,
    RATE,
    RATES,
    START,
    SWITCHES,
    stands_for,
    text,
)
from cdvft_app.ui.shared.listeners import LATEST
from cdvft_app.ui.train.model_choice import ModelFinder, targets
from cdvft_app.ui.train.recipes import recipe_cards

# Controls that only one method uses, or only some kinds of models.
USED_BY: dict[str, tuple[str, ...]] = {name: (key,) for name, (key, _) in FLAT.items()}
USED_BY |= {RATE + method: (method,) for method in METHODS}
USED_BY |= {name: one.kinds for name, one in OF_RACE.items() if len(one.kinds) < len(get_args(Kind))}


class Controls:
    """Every control by its field's name in `fields`; call the parts where they belong on the page."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}

    def recipes(self) -> None:
        self.fields["recipe"] = recipe_cards(START["recipe"], elem_id="recipes")
        self.fields["data"] = gr.JSON(None, visible=False)

    def others_fold(self) -> None:
        recipe = catalog.get_recipe(START["recipe"])
        allowed = catalog.hub_ids_allowed()
        self.others = gr.Accordion("Model and data", open=False, elem_classes=["fold"])
        with self.others:
            for name in ("model", "dataset"):
                label, hint = _label_and_hint(name)
                if allowed:
                    more = ", or a model's folder here" if name == "model" else ""
                    hint = f"{hint} Any hub id can be typed in, such as owner/name{more}."
                self.fields[name] = gr.Dropdown(
                    label=label,
                    info=hint,
                    allow_custom_value=allowed,
                    elem_id=f"set-{name}",
                    **choices(name, recipe),
                )
                if name == "model":
                    self.finder = ModelFinder()
                    self.model_info = html(elem_id="model-said")
            with gr.Column(visible=False, elem_id="of-hub") as self.of_hub:
                for name in HUB:
                    self.fields[name] = text_field(*_label_and_hint(name), value="", elem_id=f"set-{name}")
            of_id = {**LATEST, "fn": lambda key: gr.update(visible="/" in str(key or ""))}
            self.fields["dataset"].change(inputs=self.fields["dataset"], outputs=self.of_hub, **of_id)
            label, hint = _label_and_hint("target_modules")
            self.fields["target_modules"] = gr.Dropdown(
                label=label,
                info=hint,
                multiselect=True,
                allow_custom_value=allowed,
                elem_id="set-target_modules",
                **targets(recipe.model, recipe),
            )

    def prompt(self) -> None:
        label, hint = _label_and_hint("own_prompt")
        self.fields["own_prompt"] = gr.Textbox(
            "",
            label=label,
            info=hint,
            lines=2,
            max_lines=6,
            max_length=MAX_PROMPT,
            visible=in_use("own_prompt", START["methods"], catalog.get_recipe(START["recipe"]).kind),
            elem_id="set-own_prompt",
        )

    def how(self) -> None:
        self.fields["methods"] = method_chips(START["methods"], LABELS["methods"], None, "set-methods")

    def of_methods(self) -> None:
        html(f'<p class="quiet">{OF_RACE["methods"].hint}</p>')
        for method in METHODS:
            for name in _fields_of(method):
                if name in CHOICES:
                    self._dropdown(name, list(METHOD_SETTINGS[name].choices))
                else:
                    self._number(name)

    def folded(self) -> None:
        with gr.Accordion("Training", open=False, elem_classes=["fold"]):
            self._group("training")
        with gr.Accordion("Learning rates", open=False, elem_classes=["fold"]):
            gr.Markdown(
                "One shared rate would make the race unfair, so each method has its own. "
                "Empty: the recipe's own. Searches found those of the offline recipes; recipes from the hub "
                "have usual ones, which were not searched for.",
                elem_classes=["hint"],
            )
            for method in METHODS:
                self._number(RATE + method)
        with gr.Accordion("More", open=False, elem_classes=["fold"]):
            self._group("more")

    def _group(self, group: str) -> None:
        """The fields of a race that stand together, each by the kind of its values."""
        for name, one in OF_RACE.items():
            if one.group != group:
                continue
            if name in SWITCHES:
                self._switch(name)
            elif name in LISTS:
                self._dropdown(name, [("automatic" if key == "auto" else key, key) for key in one.choices])
            else:
                self._number(name)

    def _number(self, name: str) -> None:
        label, hint = _label_and_hint(name)
        self.fields[name] = text_field(
            label,
            hint,
            value=text(START.get(name)),
            placeholder=placeholder(name, catalog.get_recipe(START["recipe"])),
            elem_id=f"set-{name.replace('.', '-')}",
            elem_classes=["setting"],
            visible=in_use(name, START["methods"], catalog.get_recipe(START["recipe"]).kind),
            max_length=MAX_TYPED if name in LISTED else 20,
        )

    def _switch(self, name: str) -> None:
        label, hint = _label_and_hint(name)
        kind = catalog.get_recipe(START["recipe"]).kind
        self.fields[name] = gr.Checkbox(
            value=START[name],
            label=label,
            info=hint,
            elem_id=f"set-{name}",
            visible=in_use(name, (), kind),
        )

    def _dropdown(self, name: str, options: list[tuple[str, str]]) -> None:
        label, hint = _label_and_hint(name)
        self.fields[name] = gr.Dropdown(
            options,
            value=START[name],
            label=label,
            info=hint,
            elem_id=f"set-{name}",
            elem_classes=["setting"],
        )


def _fields_of(method: str) -> list[str]:
    return [name for name, (key, _) in FLAT.items() if key == method]


def _label_and_hint(name: str) -> tuple[str, str | None]:
    """Label and hint of a control."""
    if name in RATES:
        method = METHODS[name.removeprefix(RATE)]
        return method.title, method.rate_hint
    if name in METHOD_SETTINGS:
        return LABELS[name], METHOD_SETTINGS[name].hint
    return OF_RACE[name].title, OF_RACE[name].hint


def in_use(name: str, methods: Sequence[str], kind: str) -> bool:
    """Return whether a race of these methods on this kind of data reads the control."""
    return name not in USED_BY or bool({*USED_BY[name]} & {*methods, kind})


def choices(name: str, recipe: Recipe) -> dict[str, Any]:
    """Return the models or datasets of the recipe's kind, the recipe's own first and chosen."""
    entries = (catalog.MODELS if name == "model" else catalog.DATASETS).values()
    own = recipe.model if name == "model" else recipe.dataset
    fitting = sorted(
        (entry for entry in entries if entry.kind == recipe.kind), key=lambda entry: entry.key != own
    )
    return {
        "choices": [
            (entry.title + ("" if entry.source != "hub" else " (hub)"), entry.key) for entry in fitting
        ],
        "value": own,
    }


def placeholder(name: str, recipe: Recipe, m: object = START["m"]) -> str:
    """Return the value that an empty field stands for; `m` is the text in the field of that name."""
    if name in RATES:
        key = name.removeprefix(RATE)
        method = METHODS[key].model_validate({})
        if key == "cdvft" and isinstance(diagonals := typed_number(m), int):
            method = method.model_copy(update={"m": diagonals})
        return f"{recipe.learning_rate(method):g}"
    if name in OF_RECIPE:
        value = getattr(recipe, name)
        return "" if value is None else f"{value:g}"
    return stands_for(name)
