"""Markdown with formulas as HTML, where Gradio's does not run; the page's script sets the formulas."""

from __future__ import annotations

import re
from html import escape

from markdown_it import MarkdownIt

_FORMULA = re.compile(r"\$\$(?P<display>.+?)\$\$|\$(?P<inline>.+?)\$", re.S)
_PLACE = re.compile("\ue000(\\d+)\ue001")
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def html(text: str) -> str:
    """Tables and what CommonMark knows; $...$ and $$...$$ become elements that hold the formula's LaTeX."""
    formulas: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kind = "display" if found["display"] else "inline"
        formulas.append(f'<span class="formula {kind}">{escape(found[kind].strip())}</span>')
        return f"\ue000{len(formulas) - 1}\ue001"  # which Markdown leaves alone

    rendered: str = _MARKDOWN.render(_FORMULA.sub(keep, text))
    return _PLACE.sub(lambda found: formulas[int(found[1])], rendered)
