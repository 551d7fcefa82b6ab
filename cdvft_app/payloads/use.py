"""Payloads of the Use tab."""

from __future__ import annotations

from typing_extensions import TypedDict

from cdvft_app.payloads.shared import Method


class Drawing(TypedDict):
    """`race`: its group; `dataset`: whose images it is made like; `side`: pixels of the model's input.

    `drawing`: 64 x 64 signed bytes, row by row, in base64; None where nothing is drawn.
    """

    race: str
    dataset: str
    side: int
    drawing: str | None


class Seen(TypedDict):
    """`picture`: an address of a PNG, its data in it."""

    picture: str
    said: str


class WrittenSide(TypedDict):
    """What one model writes: pieces with their probabilities; `method` None: it was not trained.

    `fields` and their `json` come with the end, where the answers of the data have fields.
    """

    title: str
    note: str
    method: Method | None
    pieces: list[tuple[str, float]]
    tokens: int
    seconds: float
    ended: bool
    fields: dict[str, str]
    json: str


class Writing(TypedDict):
    """`status` stands over the columns; `problem`: in place of them. `running`: more is to come."""

    prompt: str
    sides: list[WrittenSide]
    status: str
    problem: str
    running: bool
