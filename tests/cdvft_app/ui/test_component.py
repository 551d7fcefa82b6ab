"""A part of the page keeps what it is given beside its value, whatever Gradio does with that value."""

from __future__ import annotations

import gradio as gr

from cdvft_app.ui.shared.component import component


def test_what_never_changes_is_in_the_script_and_not_in_gradios_props() -> None:
    with gr.Blocks():
        part = component("train/history.js", {"token": ""}, lines={"cdvft": {"width": 2}}, elem_id="history")
    assert 'const fixed = {"lines": {"cdvft": {"width": 2}}};' in part.js_on_load
    assert 'name: "train/history"' in part.js_on_load
    assert (part.props, part.elem_id, part.value) == ({}, "history", {"token": ""})
