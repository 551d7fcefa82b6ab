"""The controls of the pages that count: what is asked always, and what is folded below."""

from __future__ import annotations

from typing import Any

import gradio as gr

from cdvft_app import catalog
from cdvft_app.methods.flat import FLAT
from cdvft_app.ui.compare import finished_races, pages
from cdvft_app.ui.compare.form import (
    AIMS,
    CONVENTIONS,
    DEVICES,
    MATCHES,
    NUMBERS,
    PRECISIONS,
    START,
    WORDS,
    fields_of,
    model_choices,
)
from cdvft_app.ui.shared.form import SIZES, stands_for, text
from cdvft_app.ui.shared.method_chips import method_chips
from cdvft_app.ui.shared.state import AppState

STEP = ("batch", "sequence", "image_size")
_TYPED = "A hub id, a timm name or a folder can be typed in."
_TYPED_ON_A_SPACE = "A timm name can be typed in."


def lay_out(app: AppState) -> tuple[dict[str, Any], tuple[gr.Dropdown, gr.HTML]]:
    """The controls by their fields' names, and the dropdown of finished races with what one took."""
    controls: dict[str, Any] = {}
    controls["model"] = gr.Dropdown(
        model_choices(),
        value=START["model"],
        label=WORDS["model"][0],
        info=_TYPED if catalog.hub_ids_allowed() else _TYPED_ON_A_SPACE,
        allow_custom_value=True,
        elem_id="cost-model",
    )
    for name, choices in (("device", DEVICES), ("precision", PRECISIONS)):
        controls[name] = _dropdown(name, choices, pages.on("decide"))
    controls["gradient_checkpointing"] = gr.Checkbox(
        START["gradient_checkpointing"],
        label=WORDS["gradient_checkpointing"][0],
        elem_id="cost-gradient_checkpointing",
        elem_classes=pages.on("decide"),
    )
    for name in STEP:
        controls[name] = _number(name)
    controls["aim"] = _dropdown("aim", AIMS, pages.on("decide"))
    with gr.Accordion("Methods, sizes, layers", open=False, elem_classes=["fold"], elem_id="cost-more"):
        controls["methods"] = method_chips(START["methods"], *WORDS["methods"], "cost-methods")
        for name in NUMBERS:
            if name not in STEP:
                controls[name] = _number(name)
        label, hint = WORDS["targets"]
        controls["targets"] = gr.Dropdown(
            **fields_of(START["model"])["targets"],
            label=label,
            info=hint,
            multiselect=True,
            allow_custom_value=True,
            elem_id="cost-targets",
        )
        for name, choices in (("match", MATCHES), ("convention", CONVENTIONS)):
            controls[name] = _dropdown(name, choices, [])
        race = finished_races.control(app.store)
    return controls, race


def _dropdown(name: str, choices: list[tuple[str, str]], classes: list[str]) -> gr.Dropdown:
    label, hint = WORDS[name]
    return gr.Dropdown(
        choices,
        value=START[name],
        label=label,
        info=hint,
        elem_id=f"cost-{name}",
        elem_classes=["setting", *classes],
    )


def _number(name: str) -> gr.Textbox:
    label, hint = WORDS[name]
    return gr.Textbox(
        value=text(START.get(name)),
        label=label,
        info=hint,
        placeholder=stands_for(name) if name in SIZES else None,
        elem_id=f"cost-{name}",
        elem_classes=["setting"],
        visible=name != "image_size" and (name not in SIZES or FLAT[name][0] in START["methods"]),
        max_lines=1,
        max_length=20,
        html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
    )
