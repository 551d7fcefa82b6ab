"""Parts of this tab's HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def table(kind: str, label: str, heads: Sequence[str], rows: str) -> str:
    """A table that scrolls by itself where it is too wide; `heads` and `rows` are HTML."""
    columns = "".join(f'<th scope="col">{head}</th>' for head in heads)
    return scrolling(
        label, f'<table class="{kind}"><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table>'
    )


def scrolling(label: str, content: str) -> str:
    return (
        f'<div class="table-scroll" tabindex="0" role="region" aria-label="{escape(label)}">{content}</div>'
    )
