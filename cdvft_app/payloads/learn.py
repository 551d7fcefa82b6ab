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
    """The texts beside the votes of a question: `labels` of its answers, or numbers that begin at `low`."""

    prompt: str
    labels: list[str]
    low: int


class ClassFixed(TypedDict):
    """`kinds`: sealed questions as (key, title); `questions` by their keys."""

    kinds: list[tuple[str, str]]
    questions: dict[str, ClassQuestion]


class ClassSeen(TypedDict):
    """A class as it is shown: `address`, the query of a lesson's; `votes` by question and answer, from 1 on.

    `shown` tells one showing from the next, also where the address is the same.
    `you` is the asking pupil's code in the table.
    """

    address: str
    shown: int
    revealed: list[str]
    votes: dict[str, dict[str, int]]
    pupils: int
    you: str


class ClassGone(TypedDict):
    """Why whoever asks is in no class, which any other refusal leaves open."""

    gone: str


class ClassRequest(TypedDict, total=False):
    """`code`: the class's; `key`: its teacher's; `pupil`: made up by the browser. Others: by the function."""

    code: str
    key: str
    pupil: str
    address: str
    question: str
    given: int
    kind: str
    number: str
    state: str
    receipt: str


class ClassDone(TypedDict):
    """Nothing is to be said."""


class ClassStarted(TypedDict):
    code: str
    key: str


class ClassPicture(TypedDict):
    image: str


class ClassTable(TypedDict):
    csv: str


class SealedQuestion(TypedDict):
    number: str
    prompt: str


class SealedGrade(TypedDict):
    right: bool
    answer: int


class HomeworkReceipt(TypedDict):
    receipt: str


HomeworkProof = TypedDict("HomeworkProof", {"class": str, "pupil": str, "when": str, "state": str})


class WorksheetQuestion(TypedDict):
    prompt: str
    answers: list[str]
    right: str


class WorksheetLesson(TypedDict):
    title: str
    questions: list[WorksheetQuestion]


class WorksheetsFixed(TypedDict):
    lessons: list[WorksheetLesson]


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
