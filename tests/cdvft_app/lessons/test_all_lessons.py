"""All lessons: all of them are computed, and none says much before it is touched."""

from __future__ import annotations

import re

import pytest
import test_circulant_words
import test_fft_words
import test_forms_words
import test_rank_words
import test_shapes_words
import test_training_words

from cdvft_app.ui.learn.lesson_texts import LESSONS, Choice, Estimate, Lesson

MAX_WORDS = 60
COMPUTED = (
    test_circulant_words,
    test_rank_words,
    test_fft_words,
    test_forms_words,
    test_shapes_words,
    test_training_words,
)


def test_every_lesson_and_every_question_is_computed() -> None:
    assert sorted(key for module in COMPUTED for key in module.HOLD) == sorted(one.key for one in LESSONS)
    questions = [question.key for lesson in LESSONS for question in lesson.questions]
    assert sorted(key for module in COMPUTED for key in module.TRUE) == sorted(questions)
    assert len(set(questions)) == len(questions)


def words_before_the_first_touch(lesson: Lesson) -> int:
    """Title, text and the first question with its answers or scale, a formula as no word."""
    first = lesson.questions[0]
    to_it = [answer for answer, _ in first.answers] if isinstance(first, Choice) else []
    to_it += [first.label, "See"] if isinstance(first, Estimate) else []
    said = " ".join([lesson.title, lesson.text, first.prompt, *to_it])
    said = re.sub(r"\$\$.*?\$\$|\$.*?\$", " ", said, flags=re.DOTALL)
    return len(re.findall(r"[^\W_][\w'’.,]*", said))


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.key)
def test_a_lesson_is_short_before_it_is_touched(lesson: Lesson) -> None:
    assert words_before_the_first_touch(lesson) <= MAX_WORDS


def test_lessons_of_before_lead_to_one_of_today() -> None:
    former = [key for lesson in LESSONS for key in lesson.formerly]
    assert sorted(former) == ["1", "2", "3", "4", "5", "6", "7", "8"]
