"""Payloads of what stands around the tabs: the header, the operator's page, and the page of plain files."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

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


class KeptAnswers(TypedDict):
    """The answers to one of a part's questions: the file of each by its argument, and what else is said."""

    files: dict[str, str]
    otherwise: Any


class StudioLink(TypedDict):
    """A link to the studio under a figure of a part ("": the part itself); `label` names what it opens."""

    figure: str
    address: dict[str, str]
    label: str


class StaticPart(TypedDict):
    """A part that is mounted in the element of that `id`; `tab` is where it stands."""

    id: str
    tab: str
    module: str
    value: Any
    fixed: dict[str, Any]
    answers: dict[str, KeptAnswers]
    links: list[StudioLink]


class StaticPage(TypedDict):
    """`studio`: its address, if there is one; parts are mounted when their tab is first looked at."""

    studio: str | None
    tabs: list[str]
    parts: list[StaticPart]


class LabFormFixed(TypedDict):
    """The targets (title, key) and sizes that were fitted, and how they were."""

    targets: list[tuple[str, str]]
    sizes: list[int]
    first: dict[str, str]
    how: str
