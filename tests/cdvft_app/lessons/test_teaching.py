"""The teachers' page: its plans fill their time with lessons that exist, and every question is explained."""

import pytest

from cdvft_app.ui.learn.lesson_texts import LESSONS, Choice, Estimate
from cdvft_app.ui.learn.lesson_texts.teaching import PLANS, taught, text

KEYS = [lesson.key for lesson in LESSONS]


@pytest.mark.parametrize("total", [45, 90])
def test_a_plan_leaves_some_time_and_names_every_lesson(total: int) -> None:
    assert list(PLANS[total]) == KEYS
    assert 0.05 * total <= total - taught(PLANS[total]) <= 0.2 * total


def test_the_long_plan_takes_every_lesson_and_the_short_one_its_core() -> None:
    assert all(PLANS[90][key] for key in KEYS)
    assert PLANS[45]["rank"] and PLANS[45]["fft"]


def test_every_question_stands_there_with_its_right_answer_and_what_it_checks() -> None:
    page = text(LESSONS)
    for lesson in LESSONS:
        for question in lesson.questions:
            if isinstance(question, Choice):
                right = question.answers[question.right][0]
            else:
                right = str(question.right) if isinstance(question, Estimate) else "done on the machine"
            assert f"| {lesson.title} | {question.prompt} | {right} | {question.checks} |" in page
    assert "| questions of the class | 5 | 10 |" in page
