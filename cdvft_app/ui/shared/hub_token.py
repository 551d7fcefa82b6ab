"""The token by which a visitor acts on the hub: that of a Space's login, or elsewhere one that is typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from cdvft_app.settings.environment import environment
from cdvft_app.ui.shared.controls import html
from cdvft_app.ui.shared.viewing import has_login

NO_LOGIN = "This Space has no login, so nothing can be {} from it. Its owner can set hf_oauth: true."

Handler = Callable[[dict[Any, Any], str], Any]
"""A listener of a set of components: their values and the token, which is empty without login and input."""


def is_out_of_reach(act: str) -> bool:
    """Whether nobody can give a token here, which is then said: nothing can be `act`, such as "pushed"."""
    if not environment().space or has_login():
        return False
    html(f"<p class='quiet'>{NO_LOGIN.format(act)}</p>")
    return True


def token_field(key: str, hint: str) -> gr.Textbox:
    """Lay out the field for a token, or the login's button; their ids begin with `key`."""
    token = gr.Textbox(
        label="Token", type="password", elem_id=f"{key}-token", visible=not has_login(), info=hint
    )
    if has_login():
        gr.LoginButton(elem_id=f"{key}-login")
    return token


def with_token(handle: Handler, token: gr.Textbox) -> Callable[..., Any]:
    """`handle` as Gradio takes it; `token` is the field, which must be among the inputs."""

    def by_login(values: dict[Any, Any], user: gr.OAuthToken | None = None) -> Any:
        return handle(values, user.token if user else "")

    def by_field(values: dict[Any, Any]) -> Any:
        return handle(values, str(values[token] or "").strip())

    given = by_login if has_login() else by_field
    given.__name__ = handle.__name__
    return given
