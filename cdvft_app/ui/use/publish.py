"""Push: a run's adapter to a repository of the hub, by login on a Space, by a token elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from cdvft_app.errors import UserError
from cdvft_app.results import hub
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.ui.shared import files
from cdvft_app.ui.shared.controls import html
from cdvft_app.ui.shared.hub_token import is_out_of_reach, token_field, with_token
from cdvft_app.ui.shared.problem import problem
from cdvft_app.ui.shared.viewing import has_login

Write = Callable[[str, Path], None]
"""Puts a run's adapter, by its id, into a folder that is not there yet."""

SIGN_IN = "Sign in first: the repository will be yours."
# Uploads wait for the network, not for this machine.
PUSHING: dict[str, Any] = {
    "concurrency_limit": 4,
    "concurrency_id": "push",
    "api_visibility": "private",
    "show_progress": "minimal",
}


def build(run: gr.Radio, write: Write, asking: dict[str, Any]) -> None:
    """Lay it out, for the run that is chosen in `run`.

    `asking`: how `write`, which asks like the rest of the tab, waits its turn.
    """
    html(
        "<h3>Push to the Hub</h3><p class='hint'>The trained adapter with its model card.</p>",
    )
    if is_out_of_reach("pushed"):
        return
    name = gr.Textbox(label="Repository", placeholder="your-name/film-reviews", elem_id="push-name")
    private = gr.Checkbox(True, label="Private repository", elem_id="push-private")
    replace = gr.Checkbox(False, label="Replace files that exist in the repository", elem_id="push-replace")
    token = token_field("push", "A token with write access. It is used once and not stored.")
    push = gr.Button("Push", elem_id="push")
    message = html(elem_id="push-said")
    folder = gr.State(None)  # of the adapter, between the two steps
    given: set[Any] = {run, name, private, replace, token}

    def written(fields: dict[Any, Any], secret: str) -> list[str | None]:
        if has_login() and not secret:
            return [problem(SIGN_IN), None]
        try:
            hub.check(_stripped(fields[name]), secret)
            place = files.new_file("adapter")  # which is swept, should the second step never come
            write(fields[run], place)
        except UserError as error:
            return [problem(str(error)), None]
        return ["", str(place)]

    def uploaded(fields: dict[Any, Any], secret: str) -> list[Any]:
        if not fields[folder]:
            return [gr.skip(), "", None]
        place = Path(fields[folder])
        shown = pushed(
            place, _stripped(fields[name]), secret, private=fields[private], existing=fields[replace]
        )
        shutil.rmtree(place.parent, ignore_errors=True)
        return [shown, "", None]

    written_event = push.click(
        with_token(written, token), given, [message, folder], show_progress_on=message, **asking
    )
    outputs = [message, token, folder]
    upload = with_token(uploaded, token)
    written_event.then(upload, {*given, folder}, outputs, show_progress_on=message, **PUSHING)


def pushed(folder: Path, name: str, token: str, *, private: bool, existing: bool) -> str:
    """Push the folder, and say where it is now, or why it is nowhere, as HTML."""
    try:
        address = escape(hub.push(folder, name, token, bool(private), bool(existing)))
    except ResultsError as error:
        return problem(str(error))
    return (
        f'<p role="status">Pushed to <a href="{address}" target="_blank" rel="noopener">{address}</a>. '
        "Its card says how it is loaded.</p>"
    )


def _stripped(given: Any) -> str:
    return str(given or "").strip()
