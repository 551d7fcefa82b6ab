"""A refusal on the page."""

from __future__ import annotations

from html import escape


def problem(sentence: str) -> str:
    """The sentence as HTML, which screen readers say at once."""
    return f'<p class="problem" role="alert">{escape(sentence)}</p>'
