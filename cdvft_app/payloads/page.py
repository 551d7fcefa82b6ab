"""Payloads of the header."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict


class HeaderView(TypedDict):
    """The header's value: the browser's token; empty before it is known."""

    token: str


class ServerMode(TypedDict):
    """Fixed props of the header: whether the server is public and takes class codes."""

    public: bool
    codes: bool


class Standing(TypedDict):
    """A visitor's remaining time, in short and in a sentence; `visitor`: under which name it is counted."""

    short: str
    text: str
    visitor: str


class ScriptError(TypedDict):
    """An error of a script of the page, and the line it is from."""

    error: str
    where: NotRequired[str]
