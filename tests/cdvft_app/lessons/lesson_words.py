"""The lessons' words, sentence by sentence, so that each is either computed or known to claim nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from cdvft_app.ui.learn.lesson_texts import LESSONS, Choice, Estimate, Lesson, Question, Task

Holds = Callable[[], bool]
LESSON = {lesson.key: lesson for lesson in LESSONS}
QUESTION = {question.key: question for lesson in LESSONS for question in lesson.questions}


def graded(question: Question, true: Any) -> tuple[Any, Any]:
    """What computing gives, and what is graded as right.

    `true` says by each answer of a choice whether it is true, computes what is estimated, or says whether the
    state that a task asks for does what is asked.
    """
    if isinstance(question, Estimate):
        return round(float(true())), question.right
    if isinstance(question, Task):
        return true(), True
    assert isinstance(question, Choice)
    answers = [answer for answer, _ in question.answers]
    assert set(true) == set(answers)
    return [place for place, answer in enumerate(answers) if true[answer]()], [question.right]


def replies(question: Question) -> list[str]:
    if isinstance(question, Choice):
        return [reply for _, reply in question.answers]
    assert isinstance(question, Estimate | Task)
    return [question.reply]


def words(lesson: Lesson) -> str:
    """Text, replies, what was found, and reasons, a line each, blanks made one."""
    said = [
        lesson.text,
        *(part for question in lesson.questions for part in (*replies(question), question.found)),
        lesson.reasons,
    ]
    return "\n".join(" ".join(part.split()) for part in said)


def without(lesson: Lesson, quoted: Iterable[str]) -> list[str]:
    """The sentences of `words` in which nothing is quoted, but for "Drag ..." in bold."""
    rest = words(lesson)
    for quote in quoted:
        assert quote in rest or quote in words(lesson), quote
        rest = rest.replace(quote, re.sub(r"[^\s.?!:]", "\0", quote))
    sentences = re.split(r"(?<=[.?!:])\s+|\n", rest)
    return [one for one in sentences if one and "\0" not in one and not one.startswith("**Drag")]


def word_tests(
    hold: Mapping[str, Mapping[str, Holds]],
    say_nothing: Mapping[str, set[str]],
    true: Mapping[str, Any],
) -> tuple[Callable[..., None], ...]:
    """Three tests of some lessons: what is quoted holds, nothing else claims, grades are true.

    `hold` computes sentences by the keys of lessons, `true` answers by those of questions; `say_nothing` has
    the sentences that need no computing.
    """

    @pytest.mark.parametrize(("key", "said"), [(key, said) for key in hold for said in hold[key]])
    def holds(key: str, said: str) -> None:
        assert hold[key][said](), f"Lesson {key} says what does not hold: {said}"

    @pytest.mark.parametrize("key", hold)
    def complete(key: str) -> None:
        left, known = set(without(LESSON[key], hold[key])), say_nothing[key]
        assert left == known, f"Not computed: {left - known}; no longer said: {known - left}"

    @pytest.mark.parametrize("key", true)
    def graded_truly(key: str) -> None:
        computed, right = graded(QUESTION[key], true[key])
        assert computed == right, f"Question {key} grades {right}, but computing gives {computed}"

    return holds, complete, graded_truly
