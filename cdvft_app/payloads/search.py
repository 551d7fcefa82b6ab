"""Payloads of the search for settings on the Train tab."""

from __future__ import annotations

from typing_extensions import TypedDict

from cdvft_app.payloads.shared import Figure, Method, Styled


class SearchTrial(TypedDict):
    """One trial: its run and what it tried; loss and score are of validation rows, None before its end."""

    number: int
    run: str | None
    state: str
    settings: str
    loss: float | None
    score: str | None


class SearchFigure(TypedDict):
    title: str
    figure: Figure


class SearchedMethod(TypedDict):
    """One method's part of a search. `figures` have a title each; none before there is something to draw."""

    method: Method
    label: str
    trials: list[SearchTrial]
    budget: int
    best: int | None
    sentences: list[str]
    figures: list[SearchFigure]


class SearchShown(TypedDict):
    """A search as it is now. `race`: the address of the form that races the best of each; None before that.

    `waits`: nothing trains, and a run waits to be resumed.
    """

    title: str
    methods: list[SearchedMethod]
    running: bool
    waits: bool
    race: str | None


class SearchAnswer(TypedDict, total=False):
    """What is shown of a search, unless the page has it as of `known` already; or `missing`."""

    missing: bool
    mine: bool
    known: str
    shown: SearchShown


class SearchView(TypedDict):
    """The search that is watched; None: none."""

    group: str | None
    token: str


class SearchFixed(Styled):
    """Fixed props of the view."""
