"""How text that anybody may have typed enters an export: names, labels, prompts, hub ids, devices.

Code takes it as a Python literal, a docstring with its escapes, Markdown without its markup. Front matter and
JSON are dumped by their libraries.
"""

from __future__ import annotations

import re
from html import escape

KEPT = "\u00a0\u200c\u200d"  # no-break space, and what joins letters or does not: not printable, and harmless
_MARKUP = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")  # inside a word, _ is none


def docstring(text: str) -> str:
    """Return `text` escaped for a string between triple quotes, on one line."""
    return "".join(
        f"\\{one}"
        if one in '\\"'
        else one
        if one.isprintable() or one in KEPT
        else one.encode("unicode_escape").decode()
        for one in text
    )


def one_line(text: str) -> str:
    """Return the text without line breaks, control characters and marks of the direction of writing."""
    shown = (one if one.isprintable() or one in KEPT else " " for one in text)
    return re.sub(" {2,}", " ", "".join(shown)).strip(" ")


def markdown(text: str) -> str:
    """Return Markdown that shows the text within a line: its markup, HTML, maths and cells are escaped."""
    return _MARKUP.sub(r"\\\g<0>", escape(one_line(text), quote=False))
