"""The pages of the Compare tab: a row of links, each with its address (?tab=compare&page=growth)."""

from __future__ import annotations

import gradio as gr

from cdvft_app import ASSETS
from cdvft_app.figures import palette
from cdvft_app.payloads.compare import EvidenceFigure
from cdvft_app.ui.compare.form import recorded_costs
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.server_functions import Encoded

EVIDENCE = ASSETS / "evidence.json"  # written by benchmarks/record_evidence.py
PAGES = (
    ("decide", "Decide"),
    ("growth", "Growth"),
    ("results", "Results"),
    ("settings", "Settings that matter"),
    ("evidence", "Evidence"),
    ("paper", "The paper"),
)


def links() -> gr.HTML:
    """Return the links; the value is the key of the page that is looked at, and `turned` tells of another."""
    return component(
        "compare/pages.js",
        PAGES[0][0],
        pages=PAGES,
        events=("turned",),
        elem_id="compare-pages",
    )


def on(*keys: str) -> list[str]:
    """Return the classes of what only these pages show."""
    return ["compare-page", *(f"on-{key}" for key in keys)]


def recorded() -> None:
    """Doubts about the method, each with a figure asked for when first looked at, and the paper's figures."""
    with gr.Column(elem_classes=on("evidence")):
        slow = {"evidence": evidence}
        component("compare/evidence.js", slow_functions=slow, lines=palette.lines(), elem_id="evidence")
    with gr.Column(elem_classes=on("paper")):
        component("compare/paper.js", recorded_costs()["paper"], elem_id="paper")


def evidence(_: object) -> Encoded[list[EvidenceFigure]]:
    return Encoded(EVIDENCE.read_bytes())
