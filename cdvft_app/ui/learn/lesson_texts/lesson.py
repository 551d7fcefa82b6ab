"""Types of lessons: their texts and questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Question:
    """A prediction. key: by which a browser remembers it; checks: what a right answer shows, for teachers;
    found: what it has shown, a line that stays."""

    key: str
    prompt: str
    checks: str
    found: str


@dataclass(frozen=True)
class Choice(Question):
    """answers: (answer, reply to who gives it); right: place of the right one."""

    answers: tuple[tuple[str, str], ...]
    right: int


@dataclass(frozen=True)
class Estimate(Question):
    """A number is set on a scale: `off` from the right one still counts as right.

    label: what is set; low, high, step: the scale; start: where it stands at first; reply: why it is so.
    """

    label: str
    low: int
    high: int
    start: int
    right: int
    reply: str
    step: int = 1
    off: int = 0


@dataclass(frozen=True)
class Task(Question):
    """The machine is to be brought to a state, which its script recognises; reply: what it shows, once there.

    Who asks to see it is shown that state.
    """

    reply: str


@dataclass(frozen=True)
class RealLayer:
    """A place of the Factors tab: a recorded run by its key, the part, and what to look at."""

    run: str
    part: Literal["overview", "vectors", "ranks", "forward"]
    look_at: str


@dataclass(frozen=True)
class Lesson:
    """key: its place in the address; module: assets/js/learn/<module>.js; formerly: keys that lead here, too.

    text (Markdown with formulas) and the first question stand beside a machine that works from the start;
    what answers the question is shown with the first prediction, and `reasons` are read after the last.
    answerable: three questions that a reader can answer then.
    """

    key: str
    title: str
    module: str
    text: str
    questions: tuple[Question, ...]
    reasons: str
    real_layer: RealLayer
    answerable: tuple[str, str, str]
    formerly: tuple[str, ...] = ()
