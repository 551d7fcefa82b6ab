"""Sentences for visitors, as HTML and as Gradio's errors, without paths of a public server."""

from __future__ import annotations

import logging
import re
from html import escape

import gradio as gr

from cdvft_app.settings.environment import environment, runs_folder

_log = logging.getLogger(__name__)
_REST = r"""[^\s'"“”),;]*"""
# Of two folders or more; one of an address such as https://huggingface.co/a/b, or of an endpoint, is none.
_PATH = rf"""(?:(?<![\w:/.~-])/[\w.@+ -]*[\w.@+-]/|\b[A-Za-z]:\\){_REST}"""


def without_paths(sentence: str) -> str:
    """Return the sentence without paths of this machine, on a public server; the log has it whole."""
    if not environment().public:
        return sentence
    path = rf"(?:{re.escape(str(runs_folder()))}{_REST}|{_PATH})"
    shown = re.sub(rf""":? ?['"“]?{path}['"”]?""", "", sentence)
    if shown != sentence:
        _log.warning("%s", sentence)
    return shown


def problem(sentence: str) -> str:
    """Return the sentence as HTML, which screen readers say at once."""
    return f'<p class="problem" role="alert">{escape(without_paths(sentence))}</p>'


def status(sentence: str) -> str:
    """Return the sentence as small HTML, which screen readers say in its turn; empty without one."""
    return f'<p class="quiet" role="status">{escape(sentence)}</p>' if sentence else ""


def refusal(sentence: str) -> gr.Error:
    """Return the error for the client. The server's log does not have it, since nothing went wrong here."""
    return gr.Error(without_paths(sentence), print_exception=False)
