"""Payloads of more than one tab."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from typing_extensions import TypedDict

# Of plotly.js; their names are those of assets/js/shared/plotly_types.d.ts.
Figure = Annotated[dict[str, Any], "Figure"]
Layout = Annotated[dict[str, Any], "Layout"]
Styles = Annotated[dict[str, dict[str, Any]], "Styles"]

Method = str


class Charted(TypedDict):
    """Fixed props of a component that draws curves: each method's line style, and the layout of the axes."""

    lines: Styles
    layout: Layout


class Styled(TypedDict):
    """Fixed props of a component that shows methods."""

    lines: Styles


class TokenRequest(TypedDict):
    """A request with the token of the browser that asks; without it nothing is its own."""

    token: NotRequired[str]


class GroupRequest(TokenRequest):
    """A request about a race, a sweep or a search, by its group."""

    group: str | None


class GroupView(TypedDict):
    """The sweep or search that a part of the page shows: the one in the address where `group` is None."""

    group: str | None
    token: str


class Done(TypedDict):
    """The answer to a request that changes something: why it was refused, or None."""

    error: str | None


class Refused(TypedDict):
    """Why a question was not answered; `busy`: asking again later helps."""

    error: str
    busy: bool
