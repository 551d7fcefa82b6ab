"""Who is visiting: one secret a browser, by which it owns the runs it started."""

from __future__ import annotations

import secrets

import gradio as gr
from gradio.context import Context

from cdvft_app.ui.shared.state import AppState

_KEY = "cdvft-token"


def visitor_token(app: AppState) -> gr.BrowserState:
    """The page's one component with the browser's token; every tab that asks gets the same."""
    blocks = Context.root_block.blocks.values() if Context.root_block else ()
    for block in blocks:
        if isinstance(block, gr.BrowserState) and block.storage_key == _KEY:
            return block
    return gr.BrowserState("", storage_key=_KEY, secret=app.secret)


def token_of(kept: object) -> str:
    """The token that a browser kept, or a new one where it kept none."""
    return kept if isinstance(kept, str) and kept else secrets.token_urlsafe(32)
