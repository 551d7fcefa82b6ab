"""The header above the tabs: the device, and a visitor's remaining time.

It also sets the cookie by which the browser finds its runs.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial

import anyio.to_thread
import gradio as gr

from cdvft_app import ASSETS
from cdvft_app.format import counted, exact_duration
from cdvft_app.payloads.page import (
    HeaderView,
    ServerMode,
    Standing,
)
from cdvft_app.public.budget import Budget
from cdvft_app.public.guessing import TooManyGuesses
from cdvft_app.settings.environment import environment
from cdvft_app.store.owners import viewer_key
from cdvft_app.training.device import device_name, kind_of_training
from cdvft_app.ui import logs
from cdvft_app.ui.shared.component import component, file_address
from cdvft_app.ui.shared.listeners import QUIET
from cdvft_app.ui.shared.state import AppState, visitor_token
from cdvft_app.ui.shared.viewing import is_known_code, visitor

TITLE = "CDVFT Studio"
TAGLINE = "Fine-tune models, compare methods"
PAPER = "https://arxiv.org/abs/2505.00580"
_PUBLIC = '<span class="chip">Public</span>'
_PRIVATE = '<span class="chip" title="For those who reach this machine; nothing is limited">Private</span>'


def masthead(logo: str, middle: str) -> str:
    """The line as HTML: the logo of that address, the name, `middle`, the paper, a place for the theme."""
    return (
        f'<header class="masthead"><img src="{logo}" alt="" width="28" height="28">'
        f'<div class="masthead-name"><h1>{TITLE}</h1><p>{TAGLINE}</p></div>{middle}'
        f'<a href="{PAPER}" target="_blank" rel="noopener">Paper</a>'
        '<span class="theme-place"></span></header>'
    )


def header(app: AppState) -> gr.HTML:
    """Name, device, whether the server is public, paper, light or dark."""
    known_mode = environment()
    fixed: ServerMode = {
        "public": known_mode.public,
        "codes": known_mode.public and bool(known_mode.codes),
    }

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cpu = f"CPU, {counted(cores or 1, 'core')}"
    one_at_a_time = asyncio.Lock()
    device = ""

    def found() -> str:
        kind = kind_of_training()
        return cpu if kind == "cpu" else device_name(kind)

    async def where(_: object) -> str:
        """Return the device's name, found once for all who ask while torch is imported."""
        nonlocal device
        async with one_at_a_time:
            device = device or await anyio.to_thread.run_sync(found)
            return device

    head = component(
        "page/header.js",
        {"token": ""},
        html=masthead(
            file_address(ASSETS / "logo.svg"),
            f'<span class="chip" title="Where training runs">{cpu}</span>'
            f'<span class="mode-place">{_PUBLIC if known_mode.public else _PRIVATE}</span>',
        ),
        server_functions={
            "where": where,
            "viewer": viewer_of,
            "standing": partial(standing, app.queue.budget),
            "failed": logs.script_error,
        },
        **fixed,
        elem_id="header",
    )
    token = visitor_token(app)
    token.change(None, token, head, js="(token) => ({ token })", **QUIET)
    return head


def viewer_of(request: HeaderView) -> str:
    """Return the cookie by which the runs of the browser that has this token are found."""
    return viewer_key(request["token"])


UNKNOWN_CODE = "The code that you gave is not one of this class; ask who runs this server. "


def standing(budget: Budget, _: object) -> Standing | None:
    """Return the training time that the visitor has left; None on a server that is not public."""
    who = visitor()
    if who is None:
        return None
    balance = budget.balance(who)
    left = f"{exact_duration(balance.left)} of your {exact_duration(balance.whole)} of training are left."
    renews = f" More comes back in {exact_duration(balance.renews)}." if balance.renews is not None else ""
    kind = {"account": "your account", "code": "your code", "address": "your network address"}
    return {
        "short": f"{exact_duration(balance.left)} left",
        "text": _of_code() + left + renews,
        "visitor": kind[who.partition(" ")[0]],
    }


def _of_code() -> str:
    """Return a sentence on the class code that came, if it is not known; else nothing."""
    try:
        return "" if is_known_code() else UNKNOWN_CODE
    except TooManyGuesses as guessed:
        return f"{guessed} "
