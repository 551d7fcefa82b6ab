"""Payloads of what stands around the tabs: the header and the operator's page."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict


class HeaderView(TypedDict):
    """The header's value: the browser's token; empty before it is known."""

    token: str


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


class OperatorRequest(TypedDict):
    """The operator's key, and what is to be done, with which run where it is with one."""

    key: str
    act: NotRequired[Literal["stop", "delete", "hide", "show", "clear"]]
    run: NotRequired[str]


class ScriptError(TypedDict):
    """An error of a script of the page, and the line it is from."""

    error: str
    where: NotRequired[str]


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
    where: str  # the node of a cluster, or what it waits for there


class ServerNode(TypedDict):
    """A node of the cluster: what it has, how many runs train there, and why none may, if none may."""

    name: str
    has: str
    runs: int
    problem: str | None


class ServerOverview(TypedDict):
    """The operator's view; `error` is why the last action could not be done."""

    error: str | None
    visitors: list[ServerVisitor]
    runs: list[ServerRun]
    nodes: list[ServerNode]
