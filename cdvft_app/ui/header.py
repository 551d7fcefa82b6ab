"""The line on top of every tab."""

from __future__ import annotations

import os

import gradio as gr

from cdvft_app.training.device import device_kind, device_name
from cdvft_app.ui.shared import texts
from cdvft_app.ui.shared.component import ASSETS, address, component


def header() -> gr.HTML:
    """Name, device, paper, light or dark."""

    def where(_: object) -> str:
        return device_name(device_kind())

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return component(
        "page/header.js",
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
