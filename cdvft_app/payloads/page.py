"""Payloads of the header above the tabs, and of the operator's page."""

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
    """A visitor's remaining time, in short and in a sentence; `visitor`: under which name it is counted."""

    short: str
    text: str
    visitor: str


class ServerVisitor(TypedDict):
    """A visitor who used the server: time in all, of it training; runs that wait or train."""

    visitor: str
    spent: str
    training: str
    runs: int


class ServerRun(TypedDict):
    """A run as the operator sees it, and what the operator can do with it."""

    id: str
    name: str
    method: str
    visitor: str
    state: str
    hidden: bool
    private: bool
    goes_on: bool


class ServerOverview(TypedDict):
    """The operator's view; `error` is why the last action could not be done."""

    error: str | None
    visitors: list[ServerVisitor]
    runs: list[ServerRun]
