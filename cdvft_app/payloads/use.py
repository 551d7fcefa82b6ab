"""Payloads of the Use tab."""

from __future__ import annotations

from typing import NotRequired

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


class ModelAnswer(TypedDict):
    """The answer of one model: a label or a number in words. `method` None: it was not trained.

    `likeliest` labels with their probabilities; `differs` from what the others answer.
    """

    title: str
    note: str
    method: Method | None
    said: str
    differs: bool
    likeliest: list[tuple[str, float]]


class AnsweredInput(TypedDict):
    """An input, shortened, and what each model answers; `picture`: a PNG's address, of what was asked.

    `cut`: a sentence on what of it was not read, or empty.
    """

    input: str
    cut: str
    picture: NotRequired[str]
    answers: list[ModelAnswer]


class AnsweredInputs(TypedDict):
    """`problem`: in place of them, or empty."""

    answered: list[AnsweredInput]
    problem: str


class Line(TypedDict):
    """A line of a cell; `wrong` is read aloud beside its cross: "wrong", "missing", "differs"."""

    text: str
    strong: NotRequired[bool]
    wrong: NotRequired[str]


class SheetCell(TypedDict):
    """`quiet` stands after its lines; `share` of its row, 0..1, shades it; `picture` is a PNG's address."""

    lines: list[Line]
    quiet: NotRequired[str]
    share: NotRequired[float]
    picture: NotRequired[str]
    strong: NotRequired[bool]


class Sheet(TypedDict):
    """A table; `above` are headings over so many columns each, `method` the one whose colour shades cells."""

    kind: str
    label: str
    above: list[tuple[str, int]]
    heads: list[str]
    rows: list[list[SheetCell]]
    method: NotRequired[Method]


class Scatter(TypedDict):
    """Answers (y) of a method against labels (x), both from `low` to `high`."""

    method: Method
    about: str
    points: list[tuple[float, float]]
    low: float
    high: float


class Section(TypedDict):
    """Paragraphs, then a table or a picture; `folded` under its title. Those that are `beside` the one before
    stand in one row with it."""

    title: NotRequired[str]
    said: NotRequired[list[Line]]
    quiet: NotRequired[str]
    problem: NotRequired[str]
    sheet: NotRequired[Sheet]
    scatter: NotRequired[Scatter]
    folded: NotRequired[bool]
    beside: NotRequired[bool]


class Sections(TypedDict):
    sections: list[Section]


class WrittenSide(TypedDict):
    """The text that one model writes: pieces with their probabilities; `method` None: it was not trained.

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
