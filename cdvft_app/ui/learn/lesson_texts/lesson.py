"""What a lesson says and asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Question:
    """prompt: what is asked; answers: (answer, reply to who gives it); right: place of the right one.

    key: under which a browser remembers it; checks: what it shows that somebody has understood, for teachers.
    """

    key: str
    prompt: str
    answers: tuple[tuple[str, str], ...]
    right: int
    checks: str


@dataclass(frozen=True)
class RealLayer:
    """Where Factors shows it in a trained model: a recorded run by its key, the part, and what to look at."""

    run: str
    part: Literal["overview", "vectors", "ranks", "forward"]
    look_at: str


@dataclass(frozen=True)
class Lesson:
    """key: its place in the address; module: assets/js/learn/<module>.js; formerly: keys that lead here, too.

    text (Markdown with formulas) and the first question come before anything is touched; what veils the
    picture falls with the first answer, and `reasons` are read after it.
    """

    key: str
    title: str
    module: str
    text: str
    questions: tuple[Question, ...]
    reasons: str
    real_layer: RealLayer
    formerly: tuple[str, ...] = ()
