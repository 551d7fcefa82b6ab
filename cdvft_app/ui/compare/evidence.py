"""The page "Evidence": doubts about the method, each with a figure of what is recorded."""

from __future__ import annotations

import gradio as gr

from cdvft_app import ASSETS
from cdvft_app.figures import palette
from cdvft_app.payloads.compare import EvidenceFigure
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.server_functions import Encoded

FILE = ASSETS / "evidence.json"  # written by benchmarks/record_evidence.py


def section() -> gr.HTML:
    """The figures; the page asks for them when it is first looked at."""
    return component(
        "compare/evidence.js",
        slow_functions={"evidence": evidence},
        lines=palette.lines(),
        elem_id="evidence",
    )


def evidence(_: object) -> Encoded[list[EvidenceFigure]]:
    return Encoded(FILE.read_bytes())
