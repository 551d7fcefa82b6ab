"""Whether the form's race learns from data of one's own, and how it comes to, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from pydantic import ValidationError

from cdvft_app.data import library
from cdvft_app.data.inspect import nearest_recipe
from cdvft_app.data.source import DataRefused
from cdvft_app.settings import UploadedDataset
from cdvft_app.store.records import StoreError
from cdvft_app.ui.shared.problem import problem
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.visitor import token_of
from cdvft_app.ui.train import uploaded_view as view
from cdvft_app.ui.train.controls import QUIET
from cdvft_app.ui.train.uploaded_panel import UploadedPanel, look, uploaded_panel

MAX_QUOTED = 80
OfRecipe = Callable[[object, Any, "UploadedDataset | None"], list[Any]]


@dataclass(frozen=True)
class UploadedChoice:
    """`panel` with one's own data; `line` says which is learned from, `back` goes back to the recipe's."""

    panel: UploadedPanel
    line: gr.HTML
    back: gr.Button

    @property
    def parts(self) -> list[Any]:
        return [self.line, self.back]


def uploaded_choice(app: AppState, token: gr.BrowserState) -> UploadedChoice:
    """Lay it out."""
    panel = uploaded_panel(app, token)
    line = gr.HTML(elem_id="own-chosen", apply_default_css=False)
    back = gr.Button("Back to the recipe's data", visible=False, elem_id="own-back")
    return UploadedChoice(panel, line, back)


def choice_updates(data: Mapping[str, Any] | None) -> list[Any]:
    """The values of `UploadedChoice.parts` when the form holds this data."""
    return [view.chosen(data), gr.update(visible=bool(data))]


def as_chosen(data: Any) -> dict[str, Any] | str | None:
    """The form's data; what is none becomes text, which the check refuses."""
    try:
        own = readable(data)
    except ValidationError:
        return str(data)[:MAX_QUOTED]
    return own.model_dump(mode="json") if own else None


def readable(data: object) -> UploadedDataset | None:
    """The form's data, as it is validated; `ValidationError` where it is none."""
    return UploadedDataset.model_validate(data) if data else None


def connect(
    app: AppState,
    own: UploadedChoice,
    field: Mapping[str, Any],
    token: gr.BrowserState,
    *,
    recipe_updates: OfRecipe,
    recipe_outputs: Sequence[Any],
    recount_after: Callable[[Any], Any],
) -> None:
    """Let its buttons fill the form: `recipe_updates` gives `recipe_outputs` their values.

    `recount_after` follows each event.
    """

    def without(key: object, m: Any) -> list[Any]:
        return [*recipe_updates(key, m, None), None, *choice_updates(None)]

    for event in (field["recipe"].input, own.back.click):
        recount_after(
            event(
                without, [field["recipe"], field["m"]], [*recipe_outputs, field["data"], *own.parts], **QUIET
            )
        )
    recount_after(own.panel.removed)  # it may be what the form learns from
    recount_after(
        field["dataset"].input(
            lambda: [None, *choice_updates(None)], None, [field["data"], *own.parts], **QUIET
        )
    )

    # It brings the nearest measured recipe, and into the race the head alone, if there is one, to be beaten.
    def learn(*given: Any) -> list[Any]:
        *chosen, mine, m, methods = given
        try:
            data = library.chosen(look(app, chosen, token_of(mine)))
        except (DataRefused, StoreError) as error:
            return [problem(str(error)), *[gr.skip()] * (len(recipe_outputs) + 5)]
        recipe, value = nearest_recipe(data.kind), data.model_dump(mode="json")
        with_head = set() if data.kind == "generation" else {"head"}
        raced = [*(one for one in methods if one != "head" or with_head), *(with_head - set(methods))]
        return ["", recipe.key, *recipe_updates(recipe.key, m, data), value, *choice_updates(value), raced]

    recount_after(
        own.panel.use.click(
            learn,
            [*own.panel.chosen, token, field["m"], field["methods"]],
            [
                own.panel.message,
                field["recipe"],
                *recipe_outputs,
                field["data"],
                *own.parts,
                field["methods"],
            ],
            **QUIET,
        )
    )
