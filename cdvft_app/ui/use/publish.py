"""Push: a run's adapter to a repository of the hub, by login on a Space, by a token elsewhere."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr

from cdvft_app.results import hub
from cdvft_app.results.errors import ResultsError
from cdvft_app.store.records import StoreError
from cdvft_app.ui.use.html import problem

Write = Callable[[str, Path], None]
"""Puts a run's adapter, by its id, into a folder that is not there yet."""

SIGN_IN = "Sign in first: the repository will be yours."
NO_LOGIN = "This Space has no login, so nothing can be pushed from it. Its owner can set hf_oauth: true."
# Uploads wait for the network, not for this machine.
PUSHING: dict[str, Any] = {
    "concurrency_limit": 4,
    "concurrency_id": "push",
    "api_visibility": "private",
    "show_progress": "minimal",
}


def on_space() -> bool:
    return bool(os.environ.get("SPACE_ID"))


def has_login() -> bool:
    """Whether people can sign in here: the hub gives a Space these names when its settings ask for OAuth."""
    return on_space() and bool(os.environ.get("OAUTH_CLIENT_ID")) and find_spec("authlib") is not None


def build(run: gr.Radio, write: Write) -> None:
    """Lay it out, for the run that is chosen in `run`."""
    gr.HTML(
        "<h3>Push to the hub</h3><p class='hint'>The adapter as it was trained, with its card.</p>",
        apply_default_css=False,
    )
    if on_space() and not has_login():
        gr.HTML(f"<p class='quiet'>{NO_LOGIN}</p>", apply_default_css=False)
        return
    name = gr.Textbox(label="Repository", placeholder="your-name/film-reviews", elem_id="push-name")
    private = gr.Checkbox(True, label="Private: nobody else sees it", elem_id="push-private")
    replace = gr.Checkbox(
        False, label="If it is there already, replace its files of the same names", elem_id="push-replace"
    )
    about = [run, name, private, replace]
    if has_login():
        gr.LoginButton(elem_id="push-login")
    else:
        token = gr.Textbox(
            label="Token", type="password", elem_id="push-token",
            info="With the right to write. It is used once, and kept nowhere.",
        )  # fmt: skip
    push = gr.Button("Push", elem_id="push")
    said = gr.HTML(elem_id="push-said", apply_default_css=False)

    if has_login():

        def by_login(
            run_id: str, to: str, hidden: bool, over: bool, given: gr.OAuthToken | None = None
        ) -> str:
            if given is None:
                return problem(SIGN_IN)
            return pushed(write, run_id, to, given.token, private=hidden, existing=over)

        push.click(by_login, about, said, **PUSHING)
        return

    def by_token(run_id: str, to: str, hidden: bool, over: bool, given: str) -> list[str]:
        return [pushed(write, run_id, to, (given or "").strip(), private=hidden, existing=over), ""]

    push.click(by_token, [*about, token], [said, token], show_progress_on=said, **PUSHING)


def pushed(write: Write, run_id: str, name: str, token: str, *, private: bool, existing: bool) -> str:
    """Push, and say where it is now, or why it is nowhere, as HTML."""
    try:
        hub.check((name or "").strip(), token)
        with tempfile.TemporaryDirectory(prefix="cdvft-") as place:
            folder = Path(place) / "adapter"
            write(run_id, folder)
            address = hub.push(folder, name.strip(), token, bool(private), bool(existing))
    except (ResultsError, StoreError) as error:
        return problem(str(error))
    shown = escape(address)
    return (
        f'<p role="status">Pushed to <a href="{shown}" target="_blank" rel="noopener">{shown}</a>. '
        "Its card says how it is loaded.</p>"
    )
