"""What the line on top of every tab receives."""

from __future__ import annotations

from typing_extensions import TypedDict


class HeaderView(TypedDict):
    """`viewer` is the cookie by which this browser's own runs are found; empty before they can be."""

    viewer: str


class ServerMode(TypedDict):
    """Fixed props of the header: whether the server is public, takes codes, and has an operator's key."""

    public: bool
    codes: bool
    operator: bool


class Standing(TypedDict):
    """What a visitor has left, in short and in a sentence, and whom its time is counted for."""

    short: str
    text: str
    visitor: str


class ServerVisitor(TypedDict):
    """One who took time of the server: seconds in all, of it training; runs that wait or train."""

    visitor: str
    spent: str
    training: str
    runs: int


class ServerRun(TypedDict):
    """A run as the operator sees it, and what can be done to it now."""

    id: str
    name: str
    method: str
    visitor: str
    state: str
    hidden: bool
    private: bool
    goes_on: bool


class ServerOverview(TypedDict):
    """What the operator sees; `error` says why what was asked could not be done."""

    error: str | None
    visitors: list[ServerVisitor]
    runs: list[ServerRun]
