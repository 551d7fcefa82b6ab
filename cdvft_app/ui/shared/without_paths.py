"""Sentences for strangers: where something lies on the server's disk is the operator's to know."""

from __future__ import annotations

import logging
import re

from cdvft_app.settings.environment import environment, runs_folder

_log = logging.getLogger(__name__)
_REST = r"""[^\s'"“”),;]*"""
# Of two folders or more; one of an address such as https://huggingface.co/a/b, or of an endpoint, is none.
_PATH = rf"""(?:(?<![\w:/.~-])/[\w.@+ -]*[\w.@+-]/|\b[A-Za-z]:\\){_REST}"""


def without_paths(sentence: str) -> str:
    """The sentence without paths of this machine, on a public server; the log has it whole."""
    if not environment().public:
        return sentence
    path = rf"(?:{re.escape(str(runs_folder()))}{_REST}|{_PATH})"
    shown = re.sub(rf""":? ?['"“]?{path}['"”]?""", "", sentence)
    if shown != sentence:
        _log.warning("%s", sentence)
    return shown
