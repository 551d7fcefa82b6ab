"""Payloads of the Learn tab: contents, questions, measurements, the lab."""

from __future__ import annotations

from typing_extensions import TypedDict


class Question(TypedDict):
    """A multiple-choice question: `answers` are (answer, feedback); `right` is the index of the right one."""

    key: str
    prompt: str
    answers: list[tuple[str, str]]
    right: int


class QuestionsFixed(TypedDict):
    questions: list[Question]


class ContentsEntry(TypedDict):
    """A lesson; `last` is its last question, with which it counts as answered."""

    key: str
    title: str
    last: str


class ContentsFixed(TypedDict):
    """`formerly` maps former keys of lessons to the present ones."""

    lessons: list[ContentsEntry]
    formerly: dict[str, str]


class RecordedFit(TypedDict):
    """The best product found: relative error, and vectors in the order in which they apply to the input."""

    m: int
    error: float
    vectors: list[list[float]]


class RecordedTarget(TypedDict):
    key: str
    title: str
    target: list[float]
    fits: list[RecordedFit]


class RecordedFits(TypedDict):
    """Matrices of n × n fitted by products.

    `dimensions` are those of the sets of matrices that products of m diagonals reach, from m = 1;
    `factors_needed` is `cdvft_app.approximate.factors_needed`: the least m by counting, and the proven one.
    """

    n: int
    targets: list[RecordedTarget]
    dimensions: list[int]
    factors_needed: tuple[int, int]
    command: str
    date: str


class ReachFixed(TypedDict):
    recorded: RecordedFits


class ProductsFixed(TypedDict):
    """`where` the product is measured: "on this server"."""

    where: str


class Crossover(TypedDict):
    """Microseconds of a product row by row and by FFT, by length."""

    lengths: list[int]
    dense: list[float]
    fft: list[float]
    sentence: str


class Trial(TypedDict):
    """Losses by step (None: no number), and why the run was stopped if it was."""

    losses: list[float | None]
    failed: str | None
    rate: float


class Unmeasured(TypedDict):
    error: str


class Fit(TypedDict):
    """One family's fit. `spread`, of a search: lowest, median, highest error at which random starts ended."""

    family: str
    size: int
    parameters: int
    error: float
    spread: list[float]


class LabView(TypedDict, total=False):
    """A fit of a matrix by families: pictures are n × n bytes in base64, over -limit to limit."""

    running: bool
    status: str
    sentence: str
    n: int
    limit: float
    fits: list[Fit]
    pictures: dict[str, str]
