"""The line on top of every tab, which also lets the browser keep the cookie by which its runs are found."""

from __future__ import annotations

import os
from functools import partial

import gradio as gr

from cdvft_app import ASSETS
from cdvft_app.payloads.page import HeaderView, ServerMode, Standing
from cdvft_app.settings.environment import environment
from cdvft_app.store.owners import viewer_key
from cdvft_app.training.device import device_name, kind_of_training
from cdvft_app.ui import logs, server
from cdvft_app.ui.shared import texts
from cdvft_app.ui.shared.component import address, component
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.shared.visitor import visitor_token

_PUBLIC = '<span class="chip">Public</span>'
_PRIVATE = '<span class="chip" title="For those who reach this machine; nothing is limited">Private</span>'


def header(app: AppState) -> gr.HTML:
    """Name, device, whether the server is public, paper, light or dark."""
    known_mode = environment()
    fixed: ServerMode = {
        "public": known_mode.public,
        "codes": known_mode.public and bool(known_mode.codes),
        "operator": bool(known_mode.operator_key.get_secret_value()),
    }

    def where(_: object) -> str:
        return device_name(kind_of_training())

    def standing(_: object) -> Standing | None:
        return server.standing(app.queue.budget)

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    head = component(
        "page/header.js",
        {"viewer": ""},
        html=(
            '<header class="masthead">'
            f'<img src="{address(ASSETS / "logo.svg")}" alt="" width="28" height="28">'
            f'<div class="masthead-name"><h1>{texts.TITLE}</h1><p>{texts.TAGLINE}</p></div>'
            f'<span class="chip" title="Where training runs">{cores} CPU cores</span>'
            f'<span class="mode-place">{_PUBLIC if known_mode.public else _PRIVATE}</span>'
            f'<a href="{texts.PAPER}" target="_blank" rel="noopener">Paper</a>'
            '<span class="theme-place"></span></header>'
        ),
        slow_functions={"where": where},
        server_functions={
            "standing": standing,
            "operate": partial(server.operate, app.store, executor=app.queue.executor),
            "failed": logs.script_error,
        },
        **fixed,
        elem_id="header",
    )
    token = visitor_token(app)
    token.change(known, token, head, queue=False, show_progress="hidden", api_visibility="private")
    return head


def known(token: object) -> HeaderView:
    """The header's value for the browser that has this token."""
    return {"viewer": viewer_key(token) if isinstance(token, str) and token else ""}
