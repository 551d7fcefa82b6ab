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

LOST = (
    "This Space loses its history when it restarts. Export the runs you want to keep, or push them to the "
    "Hub in Predict."
)
NONE = "None of these races is yours and has ended."
MAX_EXPORTED, MAX_EXPORTED_PUBLIC = 10**9, 64 * 10**6  # bytes


def history_file(app: AppState, token: gr.BrowserState, view: gr.HTML) -> None:
    """Lay it out and connect it; `view` is the history, which requests the file."""
    if app.store.notice:
        html(f'<p class="hint" id="rebuilt">{escape(app.store.notice)}</p>')
    if environment().space and environment().kept is None:
        html(f'<p class="hint" id="forgets">{LOST}</p>')
    file = gr.File(label="History", interactive=False, visible=False, elem_id="history-zip")
    message = html(elem_id="history-said")

    def exported(event: gr.EventData, mine: str) -> tuple[Any, str]:
        try:
            out, text = export(app, token_of(mine), event._data)
        except UserError as error:
            return gr.update(visible=False, value=None), problem(str(error))
        return gr.update(visible=True, value=str(out)), text

    view.export_runs(
        exported,
        token,
        [file, message],
        concurrency_limit=1,
        concurrency_id="history-file",
        api_visibility="private",
        show_progress="minimal",
        trigger_mode="once",
    )


def export(app: AppState, token: str, request: Any) -> tuple[Path, str]:
    """Write the token's own of the runs {"runs": IDs} into a file; returns it and its content as HTML.

    Raises:
        StoreError, ResultsError: None of the runs can be exported.
    """
    most = MAX_EXPORTED_PUBLIC if environment().public else MAX_EXPORTED
    counts = 0, 0
    chosen = {str(one) for one in request["runs"] if isinstance(one, str)}

    def write(out: Path) -> None:
        nonlocal counts
        counts = export_history(app.store, out, token, most, chosen)
        if not counts[0]:
            out.unlink()
            raise ResultsError(NONE)

    out = files.export("cdvft-history.zip", write)
    written, skipped = counts
    text = (
        f"{counted(written, 'run')}, {out.stat().st_size / 1e6:.1f} MB. Read it with `cdvft history import`."
    )
    if skipped:
        text += f" The oldest {counted(skipped, 'run')} did not fit into {most / 1e6:g} MB."
    return out, f'<p role="status">{text}</p>'
