"""Export of the visitor's history as one file, below the list of races."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from cdvft_app.errors import UserError
from cdvft_app.format import counted
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.settings.environment import environment
from cdvft_app.store.history_file import export_history
from cdvft_app.ui.shared import files
from cdvft_app.ui.shared.controls import html
from cdvft_app.ui.shared.problem import problem
from cdvft_app.ui.shared.state import AppState, token_of

TITLE = "Export history"
ABOUT = (
    "Your ended runs as one ZIP file: settings, curves, factors, adapters. `cdvft history import` reads it "
    "on your own machine."
)
LOST = (
    "This Space loses its history when it restarts. Export the runs you want to keep, or push them to the "
    "Hub in Predict."
)
NONE = "You have no ended runs to export."
MAX_EXPORTED, MAX_EXPORTED_PUBLIC = 10**9, 64 * 10**6  # bytes
WORKING: dict[str, Any] = {
    "concurrency_limit": 1,
    "concurrency_id": "history-file",
    "api_visibility": "private",
    "show_progress": "minimal",
    "trigger_mode": "once",
}


def history_file(app: AppState, token: gr.BrowserState, view: gr.HTML) -> None:
    """Lay it out and connect it; `view` is the history, which asks for a file of chosen runs."""
    if app.store.notice:
        html(f'<p class="hint" id="rebuilt">{escape(app.store.notice)}</p>')
    if environment().space and environment().kept is None:
        html(f'<p class="hint" id="forgets">{LOST}</p>')
    with gr.Accordion(TITLE, open=False, elem_classes=["fold"], elem_id="history-file") as fold:
        html(f'<p class="hint">{ABOUT}</p>')
        make = gr.Button("Make the file", elem_id="history-make")
        file = gr.File(label="Your history", interactive=False, visible=False, elem_id="history-zip")
        message = html(elem_id="history-said")

    def made(mine: str, only: object = None) -> tuple[Any, str]:
        try:
            out, said = export(app, token_of(mine), only)
        except UserError as error:
            return gr.update(visible=False, value=None), problem(str(error))
        return gr.update(visible=True, value=str(out)), said

    def chosen(event: gr.EventData, mine: str) -> tuple[Any, str, Any]:
        return *made(mine, event._data), gr.update(open=True)

    make.click(made, token, [file, message], **WORKING)
    view.export_runs(chosen, token, [file, message, fold], **WORKING)


def export(app: AppState, token: str, only: object = None) -> tuple[Path, str]:
    """The file of the token's own runs, or of those {"runs": ids} that are its own; what is in it as HTML.

    Raises:
        StoreError, ResultsError: there is none; why.
    """
    most = MAX_EXPORTED_PUBLIC if environment().public else MAX_EXPORTED
    told = 0, 0
    ids = only.get("runs") if isinstance(only, dict) else None
    chosen = None if only is None else {str(one) for one in ids or () if isinstance(one, str)}

    def write(out: Path) -> None:
        nonlocal told
        told = export_history(app.store, out, token, most, chosen)
        if not told[0]:
            out.unlink()
            raise ResultsError(NONE)

    out = files.export("cdvft-history.zip", write)
    written, left = told
    size = out.stat().st_size
    said = [f"{counted(written, 'run')}, {size / 1e6:.1f} MB."]
    if left:
        takes = f"a file takes {most / 1e6:g} MB of runs."
        said.append(f"Left out, as the oldest: {counted(left, 'run')}; {takes}")
    return out, f'<p role="status">{" ".join(said)}</p>'
