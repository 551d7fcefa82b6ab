"""Compile steps in the Train tab's form: where it is offered, and what it does not go with."""

from __future__ import annotations

import gradio as gr
import pytest
from form_values import EMPTY, refusal

from cdvft_app import catalog
from cdvft_app.ui.shared import form
from cdvft_app.ui.train import controls


@pytest.mark.parametrize("gpus", [0, 1])
def test_compiling_is_offered_where_there_is_a_gpu_and_is_off(gpus: int, monkeypatch) -> None:
    monkeypatch.setattr(controls, "visible_gpus", lambda: gpus)
    with gr.Blocks():
        made = controls.Controls()
        made.folded()
    offered = made.fields["torch_compile"]
    assert (offered.visible, offered.value) == (gpus > 0, False)


def test_what_compiling_does_not_go_with_is_said_in_the_page_s_words() -> None:
    chosen = EMPTY | {"torch_compile": True, "gradient_accumulation": "4"}
    assert refusal(lambda: catalog.resolve(form.race(chosen).runs()[0])) == (
        "Parts of a batch: got 4; steps are compiled for a batch in one part. "
        "Give 1, or do not compile steps."
    )
