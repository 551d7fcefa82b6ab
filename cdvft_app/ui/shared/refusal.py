"""The error by which a named endpoint refuses a request."""

from __future__ import annotations

import gradio as gr

from cdvft_app.ui.shared.without_paths import without_paths


def refusal(sentence: str) -> gr.Error:
    """What the client gets as its error; the server's log stays quiet, since nothing went wrong here."""
    return gr.Error(without_paths(sentence), print_exception=False)
