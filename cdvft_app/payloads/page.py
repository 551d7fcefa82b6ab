"""What the line on top of every tab receives."""

from __future__ import annotations

from typing_extensions import TypedDict


class HeaderView(TypedDict):
    """`viewer` is the cookie by which this browser's own runs are found; empty before they can be."""

    viewer: str
