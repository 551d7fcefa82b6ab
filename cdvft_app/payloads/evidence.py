"""Payloads of the Compare tab's page of evidence."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from cdvft_app.payloads.compare import Choice
from cdvft_app.payloads.shared import Figure, Method, Styled


class EvidenceFigure(TypedDict):
    """A doubt and its answer; `figure` shows it, `label` says what the figure shows, `behind` why.

    `methods` are those that the figure draws. `command` records it again; `again` are the forms of Train with
    these settings, each the query of an address and its title.
    """

    key: str
    doubt: str
    answer: str
    figure: Figure | None
    label: str
    methods: list[Method]
    behind: list[str]
    columns: list[str]
    rows: list[list[Any]]
    source: str
    command: str
    again: list[Choice]


class EvidenceFixed(Styled):
    figures: list[EvidenceFigure]
