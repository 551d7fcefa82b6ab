"""All lessons: all of them are computed, and none says much before it is touched."""

from __future__ import annotations

import re

import pytest
import test_fft_words
import test_forms_words
import test_rank_words
import test_shapes_words
import test_training_words

from cdvft_app.ui.learn.lesson_texts import LESSONS, Lesson

MAX_WORDS = 90
COMPUTED = (test_rank_words, test_fft_words, test_forms_words, test_shapes_words, test_training_words)


def test_every_lesson_and_every_question_is_computed() -> None:
    assert sorted(key for module in COMPUTED for key in module.HOLD) == sorted(one.key for one in LESSONS)
    questions = [question.key for lesson in LESSONS for question in lesson.questions]
    assert sorted(key for module in COMPUTED for key in module.TRUE) == sorted(questions)
    assert len(set(questions)) == len(questions)


def words_before_the_first_touch(lesson: Lesson) -> int:
    """Title, text and first question with its answers, a formula as no word."""
    first = lesson.questions[0]
    said = " ".join([lesson.title, lesson.text, first.prompt, *(answer for answer, _ in first.answers)])
    said = re.sub(r"\$\$.*?\$\$|\$.*?\$", " ", said, flags=re.DOTALL)
    return len(re.findall(r"[^\W_][\w'’.,]*", said))


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.key)
def test_a_lesson_is_short_before_it_is_touched(lesson: Lesson) -> None:
    assert words_before_the_first_touch(lesson) < MAX_WORDS


def test_lessons_of_before_lead_to_one_of_today() -> None:
    former = [key for lesson in LESSONS for key in lesson.formerly]
    assert sorted(former) == ["1", "2", "3", "4", "5", "6", "7", "8"]
