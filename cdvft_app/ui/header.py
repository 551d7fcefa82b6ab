"""The line on top of every tab."""

from __future__ import annotations

import os

import gradio as gr

from cdvft_app.ui import texts
from cdvft_app.ui.component import ASSETS, address, component
from cdvft_app.ui.state import AppState


def device() -> str:
    """Where training runs: asked of torch, which may have to be imported first."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    if torch.backends.mps.is_available():
        return "Apple GPU"
    threads = torch.get_num_threads()
    return f"CPU, {threads} {'thread' if threads == 1 else 'threads'}"


def header(app: AppState) -> gr.HTML:
    """Name, device, paper, light or dark."""

    def where(_: object) -> str:
        app.await_libraries()
        return device()

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return component(
        "header.js",
        html=(
            '<header class="masthead">'
            f'<img src="{address(ASSETS / "logo.svg")}" alt="" width="28" height="28">'
            f'<div class="masthead-name"><h1>{texts.TITLE}</h1><p>{texts.TAGLINE}</p></div>'
            f'<span class="chip" title="Where training runs">{cores} CPU cores</span>'
            f'<a href="{texts.PAPER}" target="_blank" rel="noopener">Paper</a>'
            '<span class="theme-place"></span></header>'
        ),
        server_functions={"where": where},
        elem_id="header",
    )
