"""The lab's results: the fits, and below them the recorded ones with the theorem and the counting bound."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import gradio as gr

from cdvft_app import ASSETS
from cdvft_app.figures import palette
from cdvft_app.ui.learn.lab_targets import TARGETS
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.controls import html

FILE = ASSETS / "fit_table.json"  # written by benchmarks/fit_matrix.py
TITLES = {key: title for title, key in TARGETS}
FAMILIES = {"circulant_diagonal": "CDVFT", "low_rank": "LoRA"}
"""Titles of the two families by their keys."""

Errors = Mapping[str, float]


def lab_view(first: dict[str, Any] | None = None) -> gr.HTML:
    made = component(
        "learn/lab_view.js",
        first,
        elem_id="lab-view",
        elem_classes=("lab-view",),
        families=FAMILIES,
        lines=palette.lines(),
    )
    html(recorded_table(), elem_classes=["lab-recorded"])
    return made


def recorded_table() -> str:
    """Return the table as HTML; empty where nothing was recorded."""
    if not FILE.is_file():
        return ""
    recorded = json.loads(FILE.read_text(encoding="utf-8"))
    side, bound = recorded["side"], recorded["bound"]
    tables = "".join(_table(targets, int(m), side) for m, targets in recorded["tables"].items())
    least, enough = bound["factors_needed"]
    return (
        f"<h3>Recorded fits of {side} × {side} targets</h3>"
        "<p>Relative error in percent, mean over seeds. LoRA has the best rank with no more parameters. "
        "The lower error of each row is bold.</p>"
        "<p>Huhtanen and Perämäki (2015) prove that m\u00a0=\u00a0n reaches a generic complex matrix. "
        "Counting parameters shows that m below (n + 2) / 2 cannot. "
        f"For n\u00a0=\u00a0{bound['side']} these are {enough} and {least}. "
        f"A random real matrix of this size leaves {_bound(bound['errors'])}. "
        "These are results of a search, not a proof.</p>"
        f'<div class="table-scroll" tabindex="0" role="region" aria-label="Recorded fits">{tables}</div>'
        f'<p class="quiet source">Recorded {escape(recorded["date"])}, {escape(recorded["cpu"])}. '
        f"Command: <code>{escape(recorded['command'])}</code></p>"
    )


def _table(targets: Mapping[str, Errors], m: int, side: int) -> str:
    fitted = [family for family in FAMILIES if any(family in errors for errors in targets.values())]
    head = "".join(f'<th scope="col">{FAMILIES[family]}</th>' for family in fitted)
    body = "".join(_row(target, errors, fitted) for target, errors in targets.items())
    return (
        f"<table class='numbers'><caption>m = {m}: {(2 * m - 1) * side:,} of {side**2:,} parameters</caption>"
        f"<thead><tr><th scope='col'>target</th>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _row(target: str, errors: Errors, families: Iterable[str]) -> str:
    best = min(errors[family] for family in families if family in errors)
    cells = (
        "<td></td>"
        if family not in errors
        else f"<td>{'<b>' if errors[family] <= best + 1e-9 else ''}{_percent(errors[family])}"
        f"{'</b>' if errors[family] <= best + 1e-9 else ''}</td>"
        for family in families
    )
    return f'<tr><th scope="row">{escape(TITLES[target])}</th>{"".join(cells)}</tr>'


def _bound(errors: Errors) -> str:
    return ", ".join(f"{_percent(error)}\u00a0% at m\u00a0=\u00a0{m}" for m, error in errors.items())


def _percent(error: float) -> str:
    return "0" if error < 1e-5 else f"{100 * error:.1f}" if error >= 0.001 else f"{100 * error:.2g}"
