"""Parts of a page that several tabs have: fields, methods as chips, plain HTML, a fold for settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr

from cdvft_app.methods import METHODS
from cdvft_app.methods.flat import FLAT
from cdvft_app.ui.shared.form import MAX_TYPED
from cdvft_app.ui.shared.listeners import QUIET

LATEX: list[dict[str, str | bool]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "$", "right": "$", "display": False},
]
"""Where Markdown holds formulas, as `gr.Markdown` takes it."""


def html(value: str = "", **more: Any) -> gr.HTML:
    """HTML of the page's own, without Gradio's styles for it; `more` as for `gr.HTML`."""
    return gr.HTML(value, apply_default_css=False, **more)


def text_field(
    label: str, hint: str | None = None, *, max_length: int = MAX_TYPED, **more: Any
) -> gr.Textbox:
    """Return a field of one line for a number, an id or a list of them; `more` as for `gr.Textbox`.

    Not gr.Number: inside a fold it makes an empty field 0, and it cannot be typed 1e-3 into.
    """
    return gr.Textbox(
        label=label,
        info=hint,
        max_lines=1,
        max_length=max_length,
        html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
        **more,
    )


def show_used(methods: gr.CheckboxGroup, fields: Mapping[str, gr.Textbox]) -> None:
    """Show of these fields, by their flat names, those that one of the chosen methods uses."""

    def visible(chosen: Sequence[str]) -> list[Any]:
        return [gr.update(visible=FLAT[name][0] in chosen) for name in fields]

    methods.change(visible, methods, [*fields.values()], **QUIET)


def method_chips(chosen: Sequence[str], label: str, hint: str | None, elem_id: str) -> gr.CheckboxGroup:
    return gr.CheckboxGroup(
        [(method.title, key) for key, method in METHODS.items()],
        value=list(chosen),
        label=label,
        info=hint,
        elem_id=elem_id,
        elem_classes=["method-chips"],
    )


def settings_fold(column: str, *, folded: bool = False, on: str = "") -> None:
    """The button that folds a column of settings away where the columns stack, below 900 px.

    Lay it out as the first thing in the column of class `choose` with this id. A column that begins `folded`
    has that class too. `on` is an event of the page that folds it.
    """
    html(
        f'<button type="button" class="fold-settings" aria-expanded="{str(not folded).lower()}" '
        f'aria-controls="{escape(column)}" data-on="{escape(on)}"><span>Settings</span></button>',
        js_on_load=_FOLD,
    )


_FOLD = """
const button = element.querySelector("button");
const fold = (folded) => {
  button.setAttribute("aria-expanded", String(!folded));
  document.getElementById(button.getAttribute("aria-controls")).classList.toggle("folded", folded);
};
button.addEventListener("click", () => fold(button.getAttribute("aria-expanded") === "true"));
if (button.dataset.on) document.addEventListener(button.dataset.on, () => fold(true));
"""
