"""Learn: each lesson's machine and questions, the lab, and a class that votes."""

from __future__ import annotations

import csv
import re

import pytest
from playwright.sync_api import Locator, expect

from cdvft_app.ui.learn.lesson_texts import LESSONS, Choice, Estimate, Question
from walks.pages import Learn, Visit, downloaded

RANK = next(lesson for lesson in LESSONS if lesson.key == "rank").questions[0]


def predict(part: Locator, question: Question, right: bool = True) -> None:
    """Answer the question that is shown. A task is shown instead, as each is done in its own way."""
    asked = part.locator(".question:visible")
    if isinstance(question, Choice):
        other = next(at for at in range(len(question.answers)) if at != question.right)
        asked.locator("input").nth(question.right if right else other).check()
    elif isinstance(question, Estimate):
        slider = asked.locator("input[type=range]")
        slider.evaluate(
            "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }",
            question.right if right else question.start,
        )
        asked.locator(".see").click()
    else:
        part.locator(".skip:visible").first.click()


def test_lessons_open_and_their_questions_are_answered(visit: Visit) -> None:
    learn = visit(Learn, lesson=LESSONS[0].key)
    for lesson in LESSONS:
        part = learn.lesson(lesson.key)
        expect(part.locator(".lesson-reasons").first).to_be_hidden()
        feedback = part.locator(".question:visible .feedback")
        for place, question in enumerate(lesson.questions, 1):
            expect(feedback).to_be_empty()
            if isinstance(question, Choice | Estimate):
                predict(part, question, right=False)
                expect(feedback).to_have_class(re.compile("wrong"))
                predict(part, question)
                expect(feedback).to_have_class(re.compile("right"))
            else:
                predict(part, question)
                expect(feedback).not_to_be_empty()
            if place < len(lesson.questions):
                part.locator(".after-question .act:visible").first.click()
        expect(part.locator(".lesson-reasons").first).to_be_visible()
        expect(part.locator(".found li:visible")).to_have_count(len(lesson.questions))


def test_task_is_done_on_the_machine_and_kept(visit: Visit) -> None:
    learn = visit(Learn, lesson="circulant")
    part = learn.shown("circulant")
    feedback = part.locator(".question:visible .feedback")
    for k in range(8):
        expect(feedback).to_be_empty()
        part.get_by_role("slider", name=f"c {k}", exact=True).press("End" if k == 2 else "0")
    expect(feedback).to_have_class(re.compile("right"))
    learn.reload()
    expect(feedback).to_have_class(re.compile("right"))


def test_rank_machine_counts_zeros_and_keeps_them(visit: Visit) -> None:
    """The rank is 8 less the most zeros of a factor: one of a diagonal, two per pair of FFT(c)."""
    learn = visit(Learn, lesson="rank")
    part = learn.shown("rank")
    rank = part.locator(".machine-matrix dd").first
    predict(part, RANK, right=False)
    expect(rank).to_have_text("7 of 8")
    for wave, rest in (("2 turns", 6), ("alternating", 5)):
        part.get_by_role("slider", name=f"FFT(c), {wave}").press("0")
        expect(rank).to_have_text(f"{rest} of 8")
    learn.reload()
    expect(rank).to_have_text("5 of 8")


def test_lab_fits_a_matrix(visit: Visit) -> None:
    learn = visit(Learn, lesson="lab")
    fit = learn.find("#lab-fit")
    fit.click()
    expect(learn.find("#lab-view .lab-result")).to_be_visible()
    expect(fit).to_be_enabled()


def test_class_follows_votes_and_sees_the_reveal(visit: Visit) -> None:
    teacher = visit(Learn, lesson="teaching")
    teacher.find("#class-start .act-row button").last.click()
    code = teacher.find(".class-code")
    expect(code).to_have_text(re.compile(r"^[A-Z]{5}$"))
    expect(teacher.find("#class-start img")).to_have_attribute("src", re.compile("^data:image/"))

    student = visit(Learn, **{"class": code.inner_text().lower()})
    bar = student.find("#class-bar section")
    expect(bar).to_contain_text(code.inner_text())
    expect(student.page).not_to_have_url(re.compile("class="))
    expect(teacher.find("#class-bar b").first).to_contain_text("1")
    teacher.lesson("rank")
    show, reveal = (teacher.find("#class-bar .presets .act").nth(place) for place in range(2))
    show.click()
    part = student.shown("rank")
    predict(part, RANK)
    feedback = part.locator(".question:visible .feedback")
    expect(feedback).to_have_text(re.compile("."))
    votes = teacher.find("#class-bar .histogram li")
    expect(votes).not_to_have_count(0)
    expect(student.find("#class-bar .histogram")).to_have_count(0)
    expect(part.locator(".feedback.right")).to_have_count(0)
    reveal.click()
    expect(part.locator(".feedback.right")).to_have_count(1)
    expect(student.find("#class-bar .histogram li.right b")).to_have_text("1")

    teacher.find("#lessons a[href*=teaching]").click()
    saved = downloaded(teacher.find("#class-start .class-started button").last)
    (row,) = csv.DictReader(saved.read_text().splitlines())
    assert RANK.key in row.values()
    student.find("#class-bar .presets button").last.click()
    expect(bar).to_be_hidden()


def test_unknown_class_code_is_refused(visit: Visit) -> None:
    learn = visit(Learn, **{"class": "QQQQQ"})
    expect(learn.find("#class-bar [role=status]")).not_to_be_empty()
    expect(learn.find("#class-bar .presets button")).to_have_count(0)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(("lesson", "group"), [("circulant", "c"), ("fft", "FFT(c)")])
def test_dragging_a_bar_changes_its_value(visit: Visit, lesson: str, group: str, width: int) -> None:
    learn = visit(Learn, lesson=lesson)
    learn.page.set_viewport_size({"width": width, "height": 900})
    bars = learn.shown(lesson).locator(f"[role=slider][aria-label^='{group}']:visible")
    for bar in bars.all():
        others = [other.get_attribute("aria-valuenow") for other in bars.all()]
        before = bar.get_attribute("aria-valuenow")
        track = bar.locator(".bar-track")
        track.scroll_into_view_if_needed()
        box = track.bounding_box()
        assert box is not None
        track.click(position={"x": 0.9 * box["width"], "y": box["height"] / 2})
        expect(bar).not_to_have_attribute("aria-valuenow", str(before))
        changed = [
            old != other.get_attribute("aria-valuenow") for old, other in zip(others, bars.all(), strict=True)
        ]
        assert sum(changed) == 1
