"""Payloads of the page of plain files: its parts, and the answers that were computed when it was made."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict


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
    """What is mounted in the element of that `id`; `tab` is where it stands."""

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
