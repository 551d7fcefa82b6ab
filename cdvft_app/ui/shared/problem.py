"""A refusal on the page."""

from __future__ import annotations

from html import escape

from cdvft_app.ui.shared.without_paths import without_paths


def problem(sentence: str) -> str:
    """The sentence as HTML, which screen readers say at once."""
    return f'<p class="problem" role="alert">{escape(without_paths(sentence))}</p>'
