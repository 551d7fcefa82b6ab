"""The methods to choose from, as chips in their colours: on every tab the same."""

from __future__ import annotations

from collections.abc import Sequence

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
