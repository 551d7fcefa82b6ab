"""Payloads of the Learn tab: contents, questions, measurements, the lab."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from cdvft_app.payloads.shared import Styled


class Question(TypedDict):
    """A prediction that a lesson asks for, before its machine shows; `found`: what it has shown then."""

    key: str
    prompt: str
    found: str


class ChoiceQuestion(Question):
    """`answers` are (answer, feedback); `right` is the index of the right one."""

    kind: Literal["choice"]
    answers: list[tuple[str, str]]
    right: int


class EstimateQuestion(Question):
    """A number from `low` to `high`; within `off` of `right` it counts as right."""

    kind: Literal["estimate"]
    label: str
    low: int
    high: int
    step: int
    start: int
    right: int
    off: int
    reply: str


class TaskQuestion(Question):
    """The machine is brought to a state, of which it tells by the question's key."""

    kind: Literal["task"]
    reply: str


class QuestionsFixed(TypedDict):
    questions: list[ChoiceQuestion | EstimateQuestion | TaskQuestion]


class ContentsEntry(TypedDict):
    """A lesson; `last` is its last question, with which it counts as answered."""

    key: str
    title: str
    last: str


class ContentsFixed(TypedDict):
    """`formerly` maps former keys of lessons to the present ones."""

    lessons: list[ContentsEntry]
    formerly: dict[str, str]


class ClassQuestion(TypedDict):
    """Labels of a question's answers, which votes count from 1, and the correct vote."""

    prompt: str
    labels: list[str]
    right: int


class ClassFixed(TypedDict):
    questions: dict[str, ClassQuestion]


class ClassSeen(TypedDict):
    """A class: what is shown, and votes by question and answer.

    `shown` counts showings, so that the same one can be shown again. `you`: the student's code in the table.
    """

    lesson: str
    question: str
    shown: int
    revealed: list[str]
    votes: dict[str, dict[str, int]]
    students: int
    you: str


class ClassGone(TypedDict):
    """Why the class cannot be joined. Other errors may pass."""

    gone: str


class ClassRequest(TypedDict, total=False):
    """`code`: the class's. `key`: its teacher's. `student`: made up by the browser."""

    code: str
    key: str
    student: str
    address: str
    question: str
    given: int


class ClassDone(TypedDict):
    """An empty answer."""


class ClassStarted(TypedDict):
    code: str
    key: str


class ClassPicture(TypedDict):
    image: str


class ClassTable(TypedDict):
    csv: str


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
    `factors_needed`: the least m by counting, and the one that is proven to suffice.
    """

    n: int
    targets: list[RecordedTarget]
    dimensions: list[int]
    factors_needed: tuple[int, int]
    command: str
    date: str


class ReachFixed(Styled):
    recorded: RecordedFits


class Crossover(TypedDict):
    """Microseconds of a product row by row and by FFT, by length."""

    lengths: list[int]
    dense: list[float]
    fft: list[float]
    sentence: str


class Fit(TypedDict):
    """One family's fit. `spread`, of a search: lowest, median, highest error at which random starts ended."""

    family: str
    size: int
    parameters: int
    error: float
    spread: list[float]


class LabFixed(Styled):
    """`families`: the titles of the families by their keys."""

    families: dict[str, str]


class LabView(TypedDict, total=False):
    """A fit of a matrix by families: pictures are n × n bytes in base64, over -limit to limit."""

    running: bool
    status: str
    sentence: str
    n: int
    limit: float
    fits: list[Fit]
    pictures: dict[str, str]
