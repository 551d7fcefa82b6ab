"""What a lesson says and asks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """prompt: what is asked; answers: (answer, reply to who gives it); right: place of the right one."""

    prompt: str
    answers: tuple[tuple[str, str], ...]
    right: int


@dataclass(frozen=True)
class RealLayer:
    """Where Factors shows it in a trained model: a recorded run by its key, and what to look at."""

    run: str
    look_at: str


@dataclass(frozen=True)
class Lesson:
    """key: its place in the address; module: assets/js/learn/<module>.js; text: Markdown with formulas."""

    key: str
    title: str
    module: str
    text: str
    question: Question
    real_layer: RealLayer
