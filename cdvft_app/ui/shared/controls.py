"""Controls that several tabs have: methods as chips in their colours, a fold for a column of settings."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import gradio as gr

from cdvft_app.methods import METHODS


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
    gr.HTML(
        f'<button type="button" class="fold-settings" aria-expanded="{str(not folded).lower()}" '
        f'aria-controls="{escape(column)}" data-on="{escape(on)}"><span>Settings</span></button>',
        js_on_load=_FOLD,
        apply_default_css=False,
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
