"""Payloads of the Use tab."""

from __future__ import annotations

from typing_extensions import TypedDict


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
